// DirtyQueue: the residents of a loop that wait for their settle(), oldest first.
//
// A ring with room for all of them, each of which waits at most once: so adding needs no memory.
//
// Thread  The loop's.
// Owns    Nothing.
#pragma once

#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

#include "gyre/base/Check.h"

namespace gyre {

class LoopResident;

class DirtyQueue {
 public:
  // Room for so many. May throw std::bad_alloc: then nothing has changed.
  void reserve(std::size_t residents) {
    if (residents <= ring_.size()) return;
    std::vector<LoopResident*> larger(std::bit_ceil(residents < 16 ? 16 : residents));
    for (std::size_t i = 0; i < size_; ++i) larger[i] = ring_[(first_ + i) & (ring_.size() - 1)];
    ring_.swap(larger);
    first_ = 0;
  }
  // REQUIRES: there is room for it.
  void push(LoopResident& resident) noexcept {
    GYRE_CHECK(size_ < ring_.size(), "more residents wait for settle() than live on the loop");
    ring_[(first_ + size_++) & (ring_.size() - 1)] = &resident;
  }
  // REQUIRES: not empty.
  LoopResident& pop() noexcept {
    --size_;
    LoopResident& resident = *ring_[first_];
    first_ = (first_ + 1) & (ring_.size() - 1);
    return resident;
  }
  std::size_t size() const noexcept { return size_; }
  bool isEmpty() const noexcept { return size_ == 0; }

 private:
  std::vector<LoopResident*> ring_;  // its size is a power of two, or zero
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace gyre
