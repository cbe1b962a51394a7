// ResidentRegistry: the owner of a loop's residents.
//
// Thread  The loop's.
// Owns    Each resident from add() to the collect() after its remove().
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "gyre/loop/LoopResident.h"

namespace gyre {

class ResidentRegistry {
 public:
  void reserve(std::size_t places) { residents_.reserve(places); }
  // May throw std::bad_alloc: then nothing was added. Not while there are fewer than were reserved.
  void add(std::shared_ptr<LoopResident> resident);
  // The resident stays alive until collect(): it may be running.
  void remove(LoopResident& resident) noexcept;
  bool hasRemoved() const noexcept { return residents_.size() > live_; }
  // Lets go of what was removed and does not wait for its settle().
  void collect() noexcept;

  std::size_t size() const noexcept { return live_; }
  // With those that were removed and not collected.
  std::size_t places() const noexcept { return residents_.size(); }
  std::size_t sizeOf(const void* group) const noexcept;
  // None is added or removed meanwhile.
  void visit(const void* group, const std::function<void(LoopResident&)>& visit) const;
  // Begins to close those of a group, or all when it is null.
  void beginClose(const void* group) noexcept;

 private:
  // The first live_ are residents, those behind them were removed and await collect(): so removing
  // needs no memory.
  std::vector<std::shared_ptr<LoopResident>> residents_;
  std::size_t live_ = 0;
};

}  // namespace gyre
