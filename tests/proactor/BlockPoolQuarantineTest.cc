// BlockPoolQuarantineTest: under quarantine, whoever uses a released block is caught.
//
// The pool is compiled here once more, under another name, so that every build tests it.
#ifndef GYRE_QUARANTINE
#define GYRE_QUARANTINE
#endif
#define BlockPool QuarantinedBlockPool
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <vector>

#include "gyre/base/UniqueFd.h"
#include "proactor/BlockPool.cc"

namespace gyre {
namespace {

using Pool = QuarantinedBlockPool;

class BlockPoolQuarantineTest : public testing::Test {
 protected:
  Pool pool_;
};
using BlockPoolQuarantineDeathTest = BlockPoolQuarantineTest;

char readBack(const volatile char* byte) { return *byte; }

TEST_F(BlockPoolQuarantineDeathTest, Use_afterRelease_endsTheProcess) {
  volatile char* block = pool_.acquire();
  *block = 'x';
  pool_.release(const_cast<char*>(block));
  EXPECT_DEATH(static_cast<void>(readBack(block)), "");
  EXPECT_DEATH(*block = 'y', "");
  EXPECT_DEATH(static_cast<void>(readBack(block + Pool::kBlockSize - 1)), "");
}

// What the kernel does with it is an EFAULT, which engines CHECK.
TEST_F(BlockPoolQuarantineTest, Use_byTheKernelAfterRelease_isEfault) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const UniqueFd near(pair[0]);
  const UniqueFd far(pair[1]);
  ASSERT_EQ(::send(far.get(), "x", 1, 0), 1);
  char* block = pool_.acquire();
  pool_.release(block);
  EXPECT_EQ(::recv(near.get(), block, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EFAULT);
}

TEST_F(BlockPoolQuarantineTest, Acquire_soonAfterRelease_isAnotherBlock) {
  char* released = pool_.acquire();
  pool_.release(released);
  std::set<char*> seen;
  for (int i = 0; i < 200; ++i) {
    char* block = pool_.acquire();
    *block = 'x';
    seen.insert(block);
  }
  EXPECT_FALSE(seen.contains(released));
}

TEST_F(BlockPoolQuarantineTest, Quarantine_isLimited_blocksComeBackUsable) {
  std::vector<char*> blocks;
  for (int i = 0; i < 2000; ++i) {
    char* block = pool_.acquire();
    std::fill_n(block, Pool::kBlockSize, 'x');
    blocks.push_back(block);
    pool_.release(block);
  }
  EXPECT_LT(std::set<char*>(blocks.begin(), blocks.end()).size(), 400U);
  EXPECT_EQ(pool_.blocksInUse(), 0U);
}

// Blocks that replace those in quarantine are no surplus: a loop would wake for them in this build
// and in no other.
TEST_F(BlockPoolQuarantineTest, HasSurplus_saysWhatItSaysWithoutQuarantine) {
  pool_.release(pool_.acquire());
  EXPECT_FALSE(pool_.hasSurplus()) << "a new chunk has no pages yet";
  for (int i = 0; i < 300; ++i) {
    pool_.release(pool_.acquire());
    ASSERT_FALSE(pool_.hasSurplus()) << "after " << i;
  }
}

TEST_F(BlockPoolQuarantineTest, Neighbours_ofAReleasedBlock_stayUsable) {
  std::vector<char*> blocks;
  for (int i = 0; i < 9; ++i) blocks.push_back(pool_.acquire());
  pool_.release(blocks[4]);
  for (const std::size_t i : {3U, 5U}) std::fill_n(blocks[i], Pool::kBlockSize, 'x');
  EXPECT_EQ(blocks[3][Pool::kBlockSize - 1], 'x');
}

}  // namespace
}  // namespace gyre
