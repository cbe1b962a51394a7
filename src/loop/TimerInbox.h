// TimerInbox: timers that other threads have set, on their way into a loop's queue.
//
// Not functors of the mailbox, so that the loop can have them all before it cancels one or waits.
//
// Thread  put() from any thread; the rest on the loop's.
// Owns    The timers not yet taken.
#pragma once

#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "loop/TimerQueue.h"

namespace gyre {

class TimerInbox {
 public:
  // May throw std::bad_alloc: then nothing was put.
  void put(TimerQueue::Timer timer) {
    const std::lock_guard lock(mutex_);
    timers_.push_back(std::move(timer));
    isEmpty_.store(false, std::memory_order_release);
  }
  // Exact for whoever has put something himself, or was woken after it.
  bool isEmpty() const noexcept { return isEmpty_.load(std::memory_order_acquire); }
  // In the order of putting.
  std::vector<TimerQueue::Timer> take() {
    const std::lock_guard lock(mutex_);
    isEmpty_.store(true, std::memory_order_relaxed);
    return std::exchange(timers_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<TimerQueue::Timer> timers_;
  std::atomic<bool> isEmpty_{true};
};

}  // namespace gyre
