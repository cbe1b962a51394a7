// BlockPoolTest: I/O memory of one loop: hot blocks first, cold surplus back to the system.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <vector>

#include "proactor/BlockPool.h"
#include "proactor/PageResidency.h"

namespace gyre {
namespace {

constexpr std::size_t kBlock = BlockPool::kBlockSize;
constexpr std::size_t kBlockPages = kBlock / 4096;

class BlockPoolTest : public testing::Test {
 protected:
  std::vector<char*> acquire(std::size_t count, char fill = 'x') {
    std::vector<char*> blocks(count);
    for (char*& block : blocks) {
      block = pool_.acquire();
      std::fill_n(block, kBlock, fill);
    }
    return blocks;
  }
  void release(const std::vector<char*>& blocks) {
    for (char* block : blocks) pool_.release(block);
  }

  BlockPool pool_;
};

TEST_F(BlockPoolTest, Acquire_many_areAlignedAndDoNotOverlap) {
  std::vector<char*> blocks = acquire(300);
  EXPECT_EQ(pool_.blocksInUse(), 300U);
  std::sort(blocks.begin(), blocks.end());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(blocks[i]) % 4096, 0U);
    if (i > 0) {
      EXPECT_GE(blocks[i], blocks[i - 1] + kBlock);
    }
  }
  release(blocks);
  EXPECT_EQ(pool_.blocksInUse(), 0U);
}

TEST_F(BlockPoolTest, AcquireSmall_isAlignedDistinctAndReused) {
  std::set<void*> seen;
  for (int i = 0; i < 100; ++i) {
    void* small = pool_.acquireSmall();
    ASSERT_NE(small, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(small) % alignof(std::max_align_t), 0U);
    std::fill_n(static_cast<char*>(small), BlockPool::kSmallSize, 'x');
    seen.insert(small);
  }
  EXPECT_EQ(seen.size(), 100U);
  void* last = *seen.begin();
  pool_.releaseSmall(last);
  EXPECT_EQ(pool_.acquireSmall(), last);
}

#ifndef GYRE_QUARANTINE
// Under quarantine released blocks are out of reach for a while, on purpose.

TEST_F(BlockPoolTest, Acquire_afterReleases_takesTheHottest) {
  const std::vector<char*> blocks = acquire(3);
  release(blocks);
  EXPECT_EQ(pool_.acquire(), blocks[2]);
  EXPECT_EQ(pool_.acquire(), blocks[1]);
  EXPECT_EQ(pool_.acquire(), blocks[0]);
}

TEST_F(BlockPoolTest, Acquire_steadyUse_staysOnTheSameBlocks) {
  std::set<char*> seen;
  for (int round = 0; round < 1000; ++round) {
    const std::vector<char*> blocks = acquire(4);
    seen.insert(blocks.begin(), blocks.end());
    release(blocks);
  }
  EXPECT_EQ(seen.size(), 4U);
}

class BlockPoolTrimTest : public BlockPoolTest {
 protected:
  static std::size_t residentBlocks(const std::vector<char*>& blocks) {
    std::size_t pages = 0;
    for (const char* block : blocks) pages += residentPages(block, kBlock);
    return pages / kBlockPages;
  }
};

TEST_F(BlockPoolTrimTest, Trim_justReleased_keepsAll) {
  const std::vector<char*> blocks = acquire(200);
  release(blocks);
  pool_.trim();
  EXPECT_EQ(residentBlocks(blocks), 200U) << "they were needed since the last call";
}

TEST_F(BlockPoolTrimTest, Trim_unneededForAWhile_givesThePagesBackAndKeepsTheHottest) {
  const std::vector<char*> blocks = acquire(200);
  release(blocks);
  EXPECT_TRUE(pool_.hasSurplus());
  pool_.trim();
  pool_.trim();
  EXPECT_EQ(residentBlocks(blocks), 4U);
  EXPECT_FALSE(pool_.hasSurplus());
  // Those that are handed out next are the ones with pages.
  std::vector<char*> next;
  for (int i = 0; i < 4; ++i) next.push_back(pool_.acquire());
  EXPECT_EQ(residentBlocks(next), 4U);
}

TEST_F(BlockPoolTrimTest, Trim_blocksInUse_areLeftAlone) {
  const std::vector<char*> busy = acquire(50, 'b');
  const std::vector<char*> idle = acquire(150, 'i');
  release(idle);
  for (int i = 0; i < 4; ++i) pool_.trim();
  EXPECT_EQ(residentBlocks(busy), 50U);
  for (const char* block : busy) {
    EXPECT_TRUE(std::all_of(block, block + kBlock, [](char c) { return c == 'b'; }));
  }
}

TEST_F(BlockPoolTrimTest, Trim_aPeakBetweenTwoCalls_keepsWhatThePeakNeeded) {
  const std::vector<char*> blocks = acquire(200);
  release(blocks);
  pool_.trim();
  release(acquire(120));
  pool_.trim();
  // 56 more were mapped than anybody used; of the rest, 120 were needed and 4 are kept.
  EXPECT_EQ(residentBlocks(blocks), 124U);
}

TEST_F(BlockPoolTrimTest, Acquire_afterTrim_allBlocksAreUsableAgain) {
  for (int round = 0; round < 3; ++round) {
    const std::vector<char*> blocks = acquire(200, static_cast<char>('a' + round));
    EXPECT_EQ(residentBlocks(blocks), 200U);
    EXPECT_EQ(std::set<char*>(blocks.begin(), blocks.end()).size(), 200U);
    release(blocks);
    for (int i = 0; i < 3; ++i) pool_.trim();
    EXPECT_EQ(residentBlocks(blocks), 4U);
  }
}

TEST_F(BlockPoolTrimTest, HasSurplus_fewBlocks_isFalse) {
  EXPECT_FALSE(pool_.hasSurplus());
  // A chunk is mapped at a time; once its cold rest is known, a quiet pool is left in peace.
  release(acquire(3));
  for (int i = 0; i < 2; ++i) pool_.trim();
  EXPECT_FALSE(pool_.hasSurplus());
  release(acquire(3));
  EXPECT_FALSE(pool_.hasSurplus());
}
#endif

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// The sanitizers need address space themselves.
TEST(BlockPoolDeathTest, Acquire_memoryIsOut_isNullAndThePoolLives) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto body = [] {
    BlockPool pool;
    char* first = pool.acquire();
    const rlimit none{1, 1};
    ::setrlimit(RLIMIT_AS, &none);
    int got = 1;
    while (pool.acquire() != nullptr) ++got;
    pool.release(first);
    std::exit(got == 64 && pool.acquire() != nullptr ? 0 : 1);
  };
  EXPECT_EXIT(body(), testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace gyre
