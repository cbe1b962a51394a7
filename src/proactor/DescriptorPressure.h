// DescriptorPressure: tells engines that ran out of descriptors when one was closed, on any loop.
//
// Thread  Any. A close with nobody waiting costs one relaxed load.
#pragma once

#include <atomic>

#include "gyre/proactor/Proactor.h"

namespace gyre {

// One engine that waits for a descriptor. Embedded in the engine, on its thread.
class DescriptorWaiter {
 public:
  explicit DescriptorWaiter(Proactor& proactor) noexcept : proactor_(proactor) {}
  DescriptorWaiter(const DescriptorWaiter&) = delete;
  DescriptorWaiter& operator=(const DescriptorWaiter&) = delete;
  ~DescriptorWaiter() { stop(); }

  // Engine thread
  void start();
  void stop() noexcept;
  // True once after a close that came after start().
  bool takeReleased() noexcept { return released_.exchange(false, std::memory_order_acquire); }

 private:
  friend void notifyDescriptorReleased() noexcept;

  Proactor& proactor_;
  DescriptorWaiter* next_ = nullptr;  // under the list's lock
  bool waiting_ = false;
  std::atomic<bool> released_{false};
};

// Any thread, after close(2) of a socket: wakes every waiting engine.
void notifyDescriptorReleased() noexcept;

}  // namespace gyre
