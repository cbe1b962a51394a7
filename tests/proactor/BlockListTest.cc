// BlockListTest: blocks are distinct, aligned, and used again, the hottest first.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "proactor/BlockList.h"

namespace gyre {
namespace {

struct alignas(64) CacheLine {
  char bytes[128];
};

TEST(BlockListTest, Acquire_many_areAlignedAndDoNotOverlap) {
  BlockList<CacheLine> list;
  std::vector<CacheLine*> blocks;
  for (int i = 0; i < 100; ++i) {
    CacheLine* block = list.acquire();
    ASSERT_NE(block, nullptr);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignof(CacheLine), 0U);
    std::memset(block->bytes, i, sizeof block->bytes);
    blocks.push_back(block);
  }
  for (int i = 0; i < 100; ++i) {
    const CacheLine* block = blocks[static_cast<std::size_t>(i)];
    for (const char byte : block->bytes) ASSERT_EQ(byte, static_cast<char>(i));
  }
}

TEST(BlockListTest, Acquire_afterReleases_takesTheLastReleased) {
  BlockList<CacheLine> list;
  CacheLine* a = list.acquire();
  CacheLine* b = list.acquire();
  list.release(a);
  list.release(b);
  EXPECT_EQ(list.acquire(), b);
  EXPECT_EQ(list.acquire(), a);
}

// Smaller than a link: the list must not write over a neighbour.
TEST(BlockListTest, Release_blocksSmallerThanALink_keepTheirNeighbours) {
  BlockList<char> list;
  std::vector<char*> kept;
  for (int i = 0; i < 32; ++i) {
    char* block = list.acquire();
    char* released = list.acquire();
    *block = static_cast<char>(i);
    list.release(released);
    kept.push_back(block);
  }
  for (int i = 0; i < 32; ++i) EXPECT_EQ(*kept[static_cast<std::size_t>(i)], static_cast<char>(i));
}

TEST(BlockListTest, Acquire_steadyUse_needsNoNewMemory) {
  BlockList<CacheLine> list;
  std::set<CacheLine*> seen;
  for (int round = 0; round < 1000; ++round) {
    CacheLine* a = list.acquire();
    CacheLine* b = list.acquire();
    seen.insert({a, b});
    list.release(a);
    list.release(b);
  }
  EXPECT_EQ(seen.size(), 2U);
}

}  // namespace
}  // namespace gyre
