#include "proactor/BlockPool.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace gyre {

char* BlockPool::acquire() noexcept {
  if (free_.empty() && !grow()) return nullptr;
  // Those of a new chunk have never had pages.
  if (freeCount_ == 0) freeCount_ = cold_ = kChunkBlocks;
  char* block = free_.back();
  free_.pop_back();
  --freeCount_;
  cold_ = std::min(cold_, freeCount_);
  fewestFree_ = std::min(fewestFree_, freeCount_);
  ++inUse_;
  return block;
}

void BlockPool::release(char* block) noexcept {
  --inUse_;
  ++freeCount_;
#ifdef GYRE_QUARANTINE
  ::mprotect(block, kBlockSize, PROT_NONE);
  quarantine_.push_back(block);
  if (quarantine_.size() <= kQuarantined) return;
  block = quarantine_.front();
  quarantine_.pop_front();
  ::mprotect(block, kBlockSize, PROT_READ | PROT_WRITE);
#endif
  makeFree(block);
}

// Never allocates: grow() made room for every block there is.
void BlockPool::makeFree(char* block) noexcept { free_.push_back(block); }

void BlockPool::trim() noexcept {
  const std::size_t target = fewestFree_ > kKeep ? fewestFree_ - kKeep : 0;
  for (; cold_ < target; ++cold_) {
    if (cold_ < free_.size()) ::madvise(free_[cold_], kBlockSize, MADV_DONTNEED);
  }
  fewestFree_ = freeCount_;
}

bool BlockPool::grow() noexcept {
  MappedMemory chunk = MappedMemory::map(kChunkBlocks * kBlockSize);
  if (!chunk) return false;
  try {
    // Doubling, so that all growth together costs linear time.
    const std::size_t blocks = (chunks_.size() + 1) * kChunkBlocks;
    if (blocks > free_.capacity()) free_.reserve(std::max(blocks, 2 * free_.capacity()));
    chunks_.push_back(std::move(chunk));
  } catch (const std::bad_alloc&) {
    return false;
  }
  char* first = chunks_.back().data();
  for (std::size_t i = kChunkBlocks; i > 0; --i) makeFree(first + (i - 1) * kBlockSize);
  return true;
}

}  // namespace gyre
