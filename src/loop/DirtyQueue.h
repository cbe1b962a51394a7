// DirtyQueue: the residents of a loop that wait for their settle(), oldest first.
//
// A ring with room for all of them, each of which waits at most once: so adding needs no memory.
//
// Thread  The loop's.
// Owns    Nothing.
#pragma once

#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

#include "gyre/base/Check.h"

namespace gyre {

class LoopResident;

class DirtyQueue {
 public:
  // Room for so many. May throw std::bad_alloc: then nothing has changed.
  void reserve(std::size_t residents) {
    if (residents <= places_) return;
    const std::size_t places = std::bit_ceil(residents < 16 ? 16 : residents);
    // Not cleared: pages that no resident waits in stay untouched.
    auto larger = std::make_unique_for_overwrite<LoopResident*[]>(places);
    for (std::size_t i = 0; i < size_; ++i) larger[i] = ring_[(first_ + i) & (places_ - 1)];
    ring_ = std::move(larger);
    places_ = places;
    first_ = 0;
  }
  // REQUIRES: there is room for it.
  void push(LoopResident& resident) noexcept {
    GYRE_CHECK(size_ < places_, "more residents wait for settle() than live on the loop");
    ring_[(first_ + size_++) & (places_ - 1)] = &resident;
  }
  // REQUIRES: not empty.
  LoopResident& pop() noexcept {
    LoopResident& resident = *ring_[first_];
    first_ = --size_ == 0 ? 0 : (first_ + 1) & (places_ - 1);
    return resident;
  }
  std::size_t size() const noexcept { return size_; }
  bool isEmpty() const noexcept { return size_ == 0; }

 private:
  std::unique_ptr<LoopResident*[]> ring_;
  std::size_t places_ = 0;  // a power of two, or zero
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace gyre
