// BufferNeighbourTest: what an allocator puts directly behind a buffer is not taken for its bytes.
//
// glibc's keeps 8 bytes of its own between two blocks; others, as jemalloc, keep none. So malloc is
// replaced in this program: while an Arena lives, what its thread asks for lies there, block behind
// block. A sanitizer brings its own malloc, and finds nothing here.
#include "support/Sanitizers.h"

#ifndef GYRE_TEST_SANITIZED

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "gyre/base/Buffer.h"

namespace gyre {
namespace {

constexpr std::size_t kBlock = 256;

struct Blocks {
  alignas(std::max_align_t) char bytes[16 * kBlock];
};

Blocks blocks;
thread_local char* next = nullptr;  // in blocks while an Arena lives

bool isInBlocks(const void* memory) {
  const char* byte = static_cast<const char*>(memory);
  return byte >= blocks.bytes && byte < blocks.bytes + sizeof(blocks.bytes);
}

char* take(std::size_t size) {
  char* block = next;
  const std::size_t taken = (size + kBlock - 1) / kBlock * kBlock;
  if (taken > static_cast<std::size_t>(blocks.bytes + sizeof(blocks.bytes) - block)) std::abort();
  next += taken;
  return block;
}

class Arena {
 public:
  Arena() {
    std::memset(blocks.bytes, 0, sizeof(blocks.bytes));
    next = blocks.bytes;
  }
  ~Arena() { next = nullptr; }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
};

}  // namespace
}  // namespace gyre

// glibc's own, by the names it keeps for whoever replaces the public ones.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void __libc_free(void* memory);

void* malloc(std::size_t size) noexcept {
  return gyre::next == nullptr ? __libc_malloc(size) : gyre::take(size);
}

void* realloc(void* memory, std::size_t size) noexcept {
  if (!gyre::isInBlocks(memory)) return __libc_realloc(memory, size);
  void* moved = malloc(size);
  return moved == nullptr ? nullptr : std::memcpy(moved, memory, std::min(size, gyre::kBlock));
}

void free(void* memory) noexcept {
  if (!gyre::isInBlocks(memory)) __libc_free(memory);
}

}  // extern "C"

namespace gyre {
namespace {

TEST(BufferNeighbourTest, NeighboursBytes_areNotMistakenForItsOwn) {
  const std::string readable(kBlock - Buffer::kCheapPrepend, 'r');
  std::string_view appended;
  Buffer buffer;
  {
    const Arena arena;
    buffer.append(readable);
    char* neighbour = take(kBlock);
    std::fill_n(neighbour, kBlock, 'n');
    ASSERT_EQ(buffer.peek() + buffer.readableBytes(), neighbour) << "the test needs them adjacent";
    buffer.append(neighbour, 5);
    appended = buffer.view().substr(readable.size());
  }
  EXPECT_EQ(appended, "nnnnn");
}

}  // namespace
}  // namespace gyre

#endif
