// BulkBuffers: a few large receive buffers, each held by one bulk stream until it calms down.
//
// A stream that fills one small buffer after the other pays a completion for each, in memory that
// is never hot. One receive at a time into a large buffer of its own costs a submission more and is
// far cheaper. A stream that only waits must not hold one: sweep() finds those.
//
// Thread  The ring's.
// Owns    The memory, which comes with the first holder. It outlives the ring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gyre/proactor/Proactor.h"
#include "proactor/MappedMemory.h"

namespace gyre {

class BulkBuffers {
 public:
  // One buffer; `context.state().block` of its holder points to it.
  struct Place {
    IoContext* holder = nullptr;
    char* data = nullptr;
    std::uint32_t smallInARow = 0;
    bool isUsed = false;  // since the last sweep
  };

  BulkBuffers(std::uint32_t count, std::uint32_t size) noexcept : count_(count), size_(size) {}

  std::uint32_t bufferSize() const noexcept { return size_; }
  bool hasFree() const noexcept { return held_ < count_; }
  bool isHeld() const noexcept { return held_ > 0; }
  // False when none is free or memory is out.
  bool give(IoContext& context) noexcept;
  void takeBack(IoContext& context) noexcept;
  static Place& placeOf(IoContext& context) noexcept {
    return *static_cast<Place*>(context.state().block);
  }

  TimePoint sweepDue() const noexcept { return held_ == 0 ? kForever : sweepDue_; }
  // Calls `calm(context)` for each holder that has received nothing since the last sweep.
  template <typename Calm>
  void sweep(TimePoint now, Calm calm);

 private:
  static constexpr std::chrono::milliseconds kSweepInterval{500};

  bool open() noexcept;

  const std::uint32_t count_;
  const std::uint32_t size_;
  MappedMemory memory_;
  std::vector<Place> places_;
  std::uint32_t held_ = 0;
  TimePoint sweepDue_ = kForever;
};

template <typename Calm>
void BulkBuffers::sweep(TimePoint now, Calm calm) {
  if (held_ == 0) return;
  if (sweepDue_ == kForever) sweepDue_ = now + kSweepInterval;
  if (now < sweepDue_) return;
  sweepDue_ = now + kSweepInterval;
  for (Place& place : places_) {
    if (place.holder != nullptr && !place.isUsed) calm(*place.holder);
    place.isUsed = false;
  }
}

}  // namespace gyre
