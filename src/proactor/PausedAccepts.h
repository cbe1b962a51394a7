// PausedAccepts: accepts that found no descriptor or no memory, and when to take them up again.
//
// Arming an accept at RLIMIT_NOFILE fails at once, even with no client waiting, so a naive re-arm
// spins. Here it waits for the first close of this process, or for a back-off of 10 to 1000 ms (the
// limit may be the system's, or memory); new clients wait in the listener's backlog meanwhile.
//
// Thread  The engine's.
#pragma once

#include <chrono>

#include "proactor/DescriptorPressure.h"
#include "proactor/IoQueue.h"

namespace gyre {

class PausedAccepts {
 public:
  explicit PausedAccepts(Proactor& proactor) noexcept : proactor_(proactor), waiter_(proactor) {}

  // `error` is what accept said. Counts it, and logs the first of each back-off.
  void pause(IoContext& context, int error, TimePoint now, LoopCounters& counters);
  // An accept succeeded: the next failure starts from the shortest delay.
  void succeeded() noexcept {
    if (failures_ != 0) forget();
  }
  bool isEmpty() const noexcept { return paused_.isEmpty(); }
  // When run() must return to take them up, at the latest.
  TimePoint deadline() const noexcept { return isEmpty() ? kForever : deadline_; }
  // Asks those on this listener to end.
  void cancelAll(SocketHandle listener) noexcept;
  // Moves those that are due to `due`; those whose cancel was asked for are due at once.
  void takeDue(TimePoint now, IoQueue& due);

 private:
  void forget() noexcept;

  Proactor& proactor_;
  DescriptorWaiter waiter_;
  IoQueue paused_;
  TimePoint deadline_ = kForever;
  int failures_ = 0;  // in a row
};

// True for what accept(2) says when the process or the system has run out of something.
bool isExhaustion(int error) noexcept;
// True when the connection went before it was accepted, or its network answered for it (accept(2));
// the listener is as good as before.
bool isFaultOfPeer(int error) noexcept;

}  // namespace gyre
