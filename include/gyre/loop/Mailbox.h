// Mailbox: the functors that other threads (and the loop itself) want a loop to run.
//
// Thread  post() from any thread; the rest on the loop's.
// Owns    The functors not yet run.
// Ends    After its loop, with the last who holds it. A post after the loop's end says no.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "gyre/base/Export.h"
#include "gyre/base/RefPtr.h"
#include "gyre/base/UniqueFunction.h"

namespace gyre {

class EventLoop;
class Proactor;

using Functor = UniqueFunction<void()>;

class GYRE_API Mailbox : public RefCounted {
 public:
  Mailbox(EventLoop* loop, Proactor* proactor) : loop_(loop), proactor_(proactor) {}

  // Any thread

  // Queues the functor and wakes the loop. False when the loop has ended: the functor is destroyed
  // here, unrun. May throw std::bad_alloc: then nothing was queued.
  bool post(Functor functor);

  // Loop thread

  // The loop, for as long as it lives.
  EventLoop* loop() const noexcept { return loop_; }
  // Swaps what is queued, in order of posting, with `batch`, which must be empty.
  void take(std::vector<Functor>& batch);
  // Without a lock. Exact for whoever has posted himself, or was woken after it.
  bool isEmpty() const noexcept { return isEmpty_.load(std::memory_order_acquire); }
  // From now on post() says no. What was accepted is still there to be taken.
  void close();

 private:
  std::mutex mutex_;
  std::atomic<bool> isEmpty_{true};
  std::vector<Functor> functors_;
  EventLoop* const loop_;
  Proactor* proactor_;  // null once closed
};

}  // namespace gyre
