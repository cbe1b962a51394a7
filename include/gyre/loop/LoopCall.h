// LoopCall: a functor whose memory is there beforehand, so that posting it to a loop cannot fail.
//
// For what must not get lost when memory is out: that something has ended, or is to end. Where the
// caller can be told instead, EventLoop::queueInLoop is enough.
//
// Thread  Made on any thread, and posted on any by Mailbox::post. The functor runs on the loop's.
// Owns    The functor, until disarm() or the last reference. The last reference may be dropped on
//         any thread, so what the functor captures must be fit for that.
// Ends    A posted call keeps itself alive until it has run.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

#include "gyre/base/RefPtr.h"
#include "gyre/base/UniqueFunction.h"

namespace gyre {

class Mailbox;

using Functor = UniqueFunction<void()>;

class LoopCall : public RefCounted {
 public:
  // Made by makeRef<LoopCall>(functor), which may throw std::bad_alloc.
  explicit LoopCall(Functor functor) noexcept : functor_(std::move(functor)) {}

  // The functor never runs again, and what it captured is destroyed: here, or as soon as it
  // returns. REQUIRES: on the loop's thread, unless the loop has ended.
  void disarm() noexcept {
    isDisarmed_ = true;
    if (!isRunning_) functor_ = nullptr;
  }

 private:
  friend class Mailbox;
  friend class EventLoop;

  Functor functor_;
  bool isDisarmed_ = false;
  bool isRunning_ = false;
  std::atomic<bool> isPosted_{false};
  // Of a posted call, under the mailbox's lock until it is taken.
  const Mailbox* home_ = nullptr;
  RefPtr<LoopCall> next_;
  std::size_t place_ = 0;  // how many functors of its batch come before it
};

}  // namespace gyre
