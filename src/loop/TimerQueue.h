// TimerQueue: the timers of one loop, as data: it is told the time and knows no loop.
//
// A binary heap by due time; among equals the order of their ids. Adding and cancelling: O(log n).
// Memory is taken when a timer is added, and by nothing else: neither running one nor setting it
// again can fail.
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
    TimePoint due{};
    Duration interval{};  // zero: once
    Functor callback;
  };

  // REQUIRES: timer.id is valid and new. May throw std::bad_alloc: then nothing was added, and the
  // timer is what it was.
  void add(Timer&& timer) { push(store(std::move(timer), false)); }
  // Adds one that is not due before set(), and stays when it has run. The same conditions.
  void addIdle(TimerId id, Functor callback);
  // It is due then, once, and no longer at the time it was set to before.
  // REQUIRES: added by addIdle() and not cancelled.
  void set(TimerId id, TimePoint due) noexcept;
  // It is not due before it is set again. The same conditions.
  void unset(TimerId id) noexcept;
  // Nothing when it has run, was cancelled or never was. Also from the timer's own callback.
  void cancel(TimerId id) noexcept;

  // kForever when there is none.
  TimePoint nextDue() const noexcept { return heap_.empty() ? kForever : heap_.front().due; }
  // Those that run at the moment and those that are not set included.
  std::size_t size() const noexcept { return stored_.size(); }

  // Takes the timers that are due at `now`, in order, and runs each by `invoke(callback)`, which
  // may call runDue again. Those added meanwhile wait for the next call, and count as due at `now`
  // if they were for a time before, so that they hold up nobody. A repeating timer is due again a
  // whole number of intervals after its first due time: late ones neither drift nor pile up.
  template <typename Invoke>
  void runDue(TimePoint now, Invoke invoke);

 private:
  struct Stored;
  struct Entry {
    TimePoint due;
    std::uint64_t id;
    Stored* stored;  // a node of the map, which stays where it is
  };
  static constexpr std::size_t kNowhere = ~std::size_t{0};
  struct Stored {
    std::size_t position = kNowhere;  // in heap_; kNowhere while it runs, or is not set
    std::uint64_t order = 0;          // of adding or setting
    Timer timer;
    bool isIdle = false;  // stays when it has run
  };
  // The timer whose callback runs; in a chain where a callback runs others.
  struct Running {
    Stored* stored;
    Running* outer;
    bool isCancelled;
  };

  Stored& store(Timer&& timer, bool isIdle);
  void push(Stored& stored) noexcept;
  // Out of the heap.
  void pull(Stored& stored) noexcept;
  // The first, out of the heap, when it is due and was not added after `lastOrder`; or null.
  Stored* takeDue(TimePoint now, std::uint64_t lastOrder) noexcept;
  bool isRunning(const Stored& stored) const noexcept;
  // Its callback has returned.
  void finish(const Running& running, TimePoint now) noexcept;
  void erase(const Stored& stored) noexcept;
  void place(std::size_t position, const Entry& entry) noexcept;
  void siftUp(std::size_t position, Entry entry) noexcept;
  void siftDown(std::size_t position, Entry entry) noexcept;

  std::vector<Entry> heap_;  // with room for all that are stored
  std::unordered_map<std::uint64_t, Stored> stored_;
  std::uint64_t lastOrder_ = 0;
  Running* running_ = nullptr;
  TimePoint earliest_ = TimePoint::min();  // what a new timer is due at, at the earliest
};

template <typename Invoke>
void TimerQueue::runDue(TimePoint now, Invoke invoke) {
  const std::uint64_t lastOrder = lastOrder_;
  const TimePoint outerEarliest = std::exchange(earliest_, now);
  while (Stored* stored = takeDue(now, lastOrder)) {
    Running running{stored, running_, false};
    running_ = &running;
    invoke(stored->timer.callback);
    running_ = running.outer;
    finish(running, now);
  }
  earliest_ = outerEarliest;
}

}  // namespace gyre
