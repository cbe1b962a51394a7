// BlockPool: equal blocks of I/O memory for one loop, hottest first, cold surplus given back.
//
// In builds with GYRE_QUARANTINE (debug, sanitizers) a released block lies under PROT_NONE for a
// while, so that whoever still uses it is caught, the kernel (EFAULT) too.
//
// Thread  The loop's.
// Owns    The memory of all blocks, also those in use: it outlives every operation on them.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "proactor/BlockList.h"
#include "proactor/MappedMemory.h"

namespace gyre {

class BlockPool {
 public:
  static constexpr std::size_t kBlockSize = 16 * 1024;

  // Uninitialised; null when memory is out.
  char* acquire() noexcept;
  void release(char* block) noexcept;

  // For the bookkeeping of operations: aligned for anything, uninitialised; null when memory is
  // out.
  static constexpr std::size_t kSmallSize = 64;
  void* acquireSmall() noexcept { return small_.acquire(); }
  void releaseSmall(void* small) noexcept { small_.release(static_cast<Small*>(small)); }

  // True while trim() may have something to give back: to be called about twice a second then.
  bool hasSurplus() const noexcept { return freeCount_ > cold_ + kKeep; }
  // Gives the pages of those blocks back that nobody has needed since the last call.
  void trim() noexcept;
  std::size_t blocksInUse() const noexcept { return inUse_; }

 private:
  static constexpr std::size_t kChunkBlocks = 64;
  static constexpr std::size_t kKeep = 4;  // 64 KiB stay hot

  struct alignas(kSmallSize) Small {
    std::byte bytes[kSmallSize];
  };

  bool grow() noexcept;
  void makeFree(char* block) noexcept;

  BlockList<Small> small_;
  std::vector<MappedMemory> chunks_;
  std::vector<char*> free_;  // a stack; the first cold_ have no pages
  // Free ones, as if none were in quarantine: a loop wakes at the same times in every build.
  std::size_t freeCount_ = 0;
  std::size_t cold_ = 0;
  std::size_t fewestFree_ = 0;  // since the last trim
  std::size_t inUse_ = 0;
#ifdef GYRE_QUARANTINE
  static constexpr std::size_t kQuarantined = 256;
  std::deque<char*> quarantine_;
#endif
};

}  // namespace gyre
