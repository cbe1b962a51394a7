// TimerQueue: the timers of one loop, as data: it is told the time and knows no loop.
//
// A binary heap by due time; among equals the order of their ids. Adding and cancelling: O(log n).
//
// Thread  The loop's.
// Owns    The callbacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gyre/loop/Mailbox.h"
#include "gyre/loop/TimerId.h"
#include "gyre/proactor/Proactor.h"

namespace gyre {

class TimerQueue {
 public:
  struct Timer {
    TimerId id;
    TimePoint due;
    Duration interval{};  // zero: once
    Functor callback;
  };

  // REQUIRES: timer.id is valid and new. May throw std::bad_alloc: then nothing was added.
  void add(Timer timer);
  // Nothing when it has run, was cancelled or never was. Also from the timer's own callback.
  void cancel(TimerId id);

  // kForever when there is none.
  TimePoint nextDue() const noexcept { return heap_.empty() ? kForever : heap_.front().due; }
  std::size_t size() const noexcept { return heap_.size(); }

  // Takes the timers that are due at `now`, in order, and runs each by `invoke(callback)`, which
  // may call runDue again. Those added meanwhile wait for the next call, and count as due at `now`
  // if they were for a time before, so that they hold up nobody. A repeating timer is due again a
  // whole number of intervals after its first due time: late ones neither drift nor pile up.
  template <typename Invoke>
  void runDue(TimePoint now, Invoke invoke);

 private:
  struct Entry {
    TimePoint due;
    std::uint64_t id;
  };
  // The timer whose callback runs; in a chain where a callback runs others.
  struct Running {
    std::uint64_t id;  // 0 when it was cancelled meanwhile
    Running* outer;
  };
  struct Stored {
    std::size_t position;  // in heap_
    std::uint64_t order;   // of adding
    Timer timer;
  };

  // True and the timer in `timer` when the first is due and was not added after `lastOrder`.
  bool takeDue(TimePoint now, std::uint64_t lastOrder, Timer& timer);
  void putBack(Timer timer, TimePoint now);
  Timer extract(std::size_t position);
  void place(std::size_t position, const Entry& entry);
  void siftUp(std::size_t position, Entry entry);
  void siftDown(std::size_t position, Entry entry);

  std::vector<Entry> heap_;
  std::unordered_map<std::uint64_t, Stored> stored_;
  std::uint64_t lastOrder_ = 0;
  Running* running_ = nullptr;
  TimePoint earliest_ = TimePoint::min();  // what a new timer is due at, at the earliest
};

template <typename Invoke>
void TimerQueue::runDue(TimePoint now, Invoke invoke) {
  const std::uint64_t lastOrder = lastOrder_;
  const TimePoint outerEarliest = std::exchange(earliest_, now);
  Timer timer;
  while (takeDue(now, lastOrder, timer)) {
    Running running{timer.id.value(), running_};
    running_ = &running;
    invoke(timer.callback);
    running_ = running.outer;
    const bool repeats = running.id != 0 && timer.interval > Duration::zero();
    if (repeats) putBack(std::move(timer), now);
  }
  earliest_ = outerEarliest;
}

}  // namespace gyre
