// LoopRun: runs a loop until something has become true.
#pragma once

#include <algorithm>
#include <chrono>

#include "gyre/loop/EventLoop.h"

namespace gyre {

inline constexpr std::chrono::seconds kPatience{10};

// Steps the loop. False when it did not come true in time.
template <typename Predicate>
bool runUntil(EventLoop& loop, Predicate isDone) {
  const TimePoint limit = loop.now() + kPatience;
  while (!isDone()) {
    if (loop.now() >= limit) return false;
    loop.runOnce(std::min(limit, loop.now() + std::chrono::milliseconds(5)));
  }
  return true;
}

// Runs loop() until somebody quits it. False when nobody did in time: here a wake-up that was lost
// shows, because nothing else goes on meanwhile.
inline bool loopUntilQuit(EventLoop& loop) {
  bool isLate = false;
  const TimerId guard = loop.runAfter(kPatience, [&] {
    isLate = true;
    loop.quit();
  });
  loop.loop();
  loop.cancel(guard);
  return !isLate;
}

// Runs what is queued and due, without waiting.
inline void runAvailable(EventLoop& loop) {
  for (int i = 0; i < 4; ++i) loop.runOnce(kNoWait);
}

}  // namespace gyre
