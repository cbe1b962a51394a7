#include "proactor/uring/BulkBuffers.h"

#include <sys/mman.h>

#include <new>

namespace gyre {

bool BulkBuffers::open() noexcept {
  if (memory_) return true;
  MappedMemory memory = MappedMemory::map(std::size_t{count_} * size_);
  if (!memory) return false;
  try {
    places_.resize(count_);
  } catch (const std::bad_alloc&) {
    return false;
  }
  for (std::uint32_t i = 0; i < count_; ++i)
    places_[i].data = memory.data() + std::size_t{i} * size_;
  memory_ = std::move(memory);
  return true;
}

bool BulkBuffers::give(IoContext& context) noexcept {
  if (!hasFree() || !open()) return false;
  // From the front, so that few streams share few hot buffers.
  for (Place& place : places_) {
    if (place.holder != nullptr) continue;
    place.holder = &context;
    place.smallInARow = 0;
    place.isUsed = true;
    context.state().block = &place;
    ++held_;
    return true;
  }
  return false;
}

void BulkBuffers::takeBack(IoContext& context) noexcept {
  Place& place = placeOf(context);
  place.holder = nullptr;
  context.state().block = nullptr;
  if (--held_ > 0) return;
  // The last one gives the pages back: bulk comes seldom.
  sweepDue_ = kForever;
  ::madvise(memory_.data(), memory_.size(), MADV_DONTNEED);
}

}  // namespace gyre
