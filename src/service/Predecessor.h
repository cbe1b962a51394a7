// Predecessor: a hot restart, seen from the new process: it reports to the old one that it serves.
//
// Thread  The loop's.
// Owns    The writing end of the pipe.
// Ends    When the old process has taken note, or has ended; or with the loop.
#pragma once

#include <functional>

#include "gyre/base/UniqueFd.h"
#include "gyre/loop/EventLoop.h"

namespace gyre {

class Predecessor final : public LoopResident {
 public:
  // The pipe that GYRE_SUCCESSION_FD names; none unless it is the very one that was made for this
  // process: a stale variable names whatever is open under that number now. Takes the variable out
  // of the environment. REQUIRES: LISTEN_PID is still there, and no other thread runs.
  static UniqueFd takePipe();

  // Reports that this process serves. `onReleased` runs on the loop once the old process has taken
  // note, or is no more. May throw std::bad_alloc.
  static void announce(EventLoop* loop, UniqueFd pipe, std::function<void()> onReleased);
  // Internal
  Predecessor(EventLoop* loop, SocketHandle pipe, std::function<void()> onReleased);
  void beginClose() noexcept override;

 private:
  static void handlePoll(IoContext& context, const IoResult& result) noexcept;

  EventLoop* const loop_;
  const SocketHandle pipe_;
  const std::function<void()> onReleased_;
  IoContext poll_;
};

}  // namespace gyre
