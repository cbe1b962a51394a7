// TimerInbox: timers that other threads have set, on their way into a loop's queue.
//
// Not functors of the mailbox, so that the loop can have them all before it cancels one or waits.
//
// Thread  put() from any thread; the rest on the loop's.
// Owns    The timers not yet moved on.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <new>
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
  // Adds them to the queue in the order of putting. False when memory is out: the others stay here.
  bool moveTo(TimerQueue& queue) noexcept {
    const std::lock_guard lock(mutex_);
    std::size_t moved = 0;
    try {
      for (; moved < timers_.size(); ++moved) queue.add(std::move(timers_[moved]));
    } catch (const std::bad_alloc&) {
    }
    timers_.erase(timers_.begin(), timers_.begin() + static_cast<std::ptrdiff_t>(moved));
    if (!timers_.empty()) return false;
    if (timers_.capacity() > kKept) timers_ = std::vector<TimerQueue::Timer>();
    isEmpty_.store(true, std::memory_order_relaxed);
    return true;
  }
  // One that is still here. Empty when it is not.
  TimerQueue::Timer take(TimerId id) noexcept {
    const std::lock_guard lock(mutex_);
    const auto isIt = [id](const TimerQueue::Timer& timer) { return timer.id == id; };
    const auto place = std::find_if(timers_.begin(), timers_.end(), isIt);
    if (place == timers_.end()) return {};
    TimerQueue::Timer timer = std::move(*place);
    timers_.erase(place);
    isEmpty_.store(timers_.empty(), std::memory_order_relaxed);
    return timer;
  }
  // All of them.
  std::vector<TimerQueue::Timer> takeAll() noexcept {
    const std::lock_guard lock(mutex_);
    isEmpty_.store(true, std::memory_order_relaxed);
    return std::exchange(timers_, {});
  }

 private:
  static constexpr std::size_t kKept = 64;

  std::mutex mutex_;
  std::vector<TimerQueue::Timer> timers_;
  std::atomic<bool> isEmpty_{true};
};

}  // namespace gyre
