// ReservedTimer: a timer whose memory is there beforehand, so that setting it cannot fail.
//
// For what must go on when memory is out: trying again, ending by a deadline.
//
// Thread  The loop's.
// Owns    Its place among the loop's timers.
// Borrows The loop, until end().
// Ends    By end() or its destructor: the callback never runs again. Also from the callback.
#pragma once

#include <utility>

#include "gyre/loop/EventLoop.h"

namespace gyre {

class ReservedTimer {
 public:
  // May throw std::bad_alloc.
  ReservedTimer(EventLoop* loop, Functor callback)
      : loop_(loop), id_(loop->reserveTimer(std::move(callback))) {}
  ReservedTimer(const ReservedTimer&) = delete;
  ReservedTimer& operator=(const ReservedTimer&) = delete;
  ~ReservedTimer() { end(); }

  // The callback runs once after this delay, and not when it was due before. REQUIRES: before
  // end().
  void set(Duration delay) noexcept { loop_->setTimer(id_, delay); }
  void unset() noexcept {
    if (loop_ != nullptr) loop_->unsetTimer(id_);
  }
  void end() noexcept {
    if (loop_ != nullptr) std::exchange(loop_, nullptr)->cancel(id_);
  }

 private:
  EventLoop* loop_;
  const TimerId id_;
};

}  // namespace gyre
