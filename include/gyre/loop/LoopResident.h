// LoopResident: what lives on a loop and must be closed before the loop can end.
//
// Thread  The loop's.
// Owns    Nothing. The loop's registry owns the resident, until the resident leaves it.
// Ends    By EventLoop::removeResident, when nothing of it is in flight any more.
#pragma once

#include <cstdint>

#include "gyre/base/Export.h"
#include "gyre/proactor/Proactor.h"

namespace gyre {

class GYRE_API LoopResident {
 public:
  LoopResident() = default;
  LoopResident(const LoopResident&) = delete;
  LoopResident& operator=(const LoopResident&) = delete;
  virtual ~LoopResident();

  // Starts to close without waiting for the peer. Idempotent. The resident leaves the registry by
  // itself when its last completion has returned; never inside this call.
  virtual void beginClose() noexcept = 0;
  // Runs once per iteration after markDirty(): submits output, tells what is due to be told.
  virtual void settle() noexcept {}
  // Its time in the loop's timing wheel has come: does what is due and returns when to be asked
  // again, kForever for not before moveTimeout(). REQUIRES: it does not call removeTimeout().
  virtual TimePoint checkTimeouts(TimePoint) noexcept { return kForever; }
  // Whom this resident belongs to, for closing one group of several on a loop.
  virtual const void* group() const noexcept { return nullptr; }

 private:
  friend class ResidentRegistry;

  static constexpr std::uint32_t kAbsent = ~0U;

  std::uint32_t index_ = kAbsent;  // its place in the registry

 protected:
  // True exactly while it waits for settle().
  bool isDirty_ = false;
  // For what a resident may do in one iteration of the loop; here, because there is room.
  std::uint8_t budgetTurn_ = 0;  // the low bits of that iteration's number
  std::uint16_t budgetLeft_ = 0;
  friend class EventLoop;
};

}  // namespace gyre
