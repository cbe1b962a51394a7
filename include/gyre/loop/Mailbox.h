// Mailbox: the functors and calls that other threads (and the loop itself) want a loop to run.
//
// Thread  post() from any thread; the rest on the loop's.
// Owns    The functors and calls not yet taken.
// Ends    After its loop, with the last who holds it. A post after the loop's end says no.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include "gyre/base/Export.h"
#include "gyre/base/RefPtr.h"
#include "gyre/loop/LoopCall.h"

namespace gyre {

class EventLoop;
class Proactor;

class GYRE_API Mailbox : public RefCounted {
 public:
  Mailbox(EventLoop* loop, Proactor* proactor) : loop_(loop), proactor_(proactor) {}

  // Any thread

  // Queues the functor and wakes the loop. False when the loop has ended: the functor is not
  // taken, and does not run. May throw std::bad_alloc: then nothing was queued.
  bool post(Functor&& functor);
  // True on the thread that made it, which is the loop's.
  bool isOwnThread() const noexcept { return std::this_thread::get_id() == thread_; }
  // True once post() says no.
  bool hasEnded() const noexcept { return hasEnded_.load(std::memory_order_acquire); }
  // The call's functor runs on the loop, later, once: in the order of posting among calls and
  // functors. While it waits, another post adds nothing and keeps its place; one from the functor
  // itself makes it run again in the next iteration. The run sees what the posting thread did
  // before. False after the loop's end: then it does not run. REQUIRES: a call has one mailbox.
  bool post(LoopCall& call) noexcept;

  // Loop thread

  // The loop, for as long as it lives.
  EventLoop* loop() const noexcept { return loop_; }
  // Swaps the functors that wait, in order of posting, with `functors`, which must be empty, and
  // gives the first of the calls that wait. Each call knows how many of the functors come before
  // it.
  [[nodiscard]] RefPtr<LoopCall> take(std::vector<Functor>& functors) noexcept;
  // Without a lock. Exact for whoever has posted himself, or was woken after it.
  bool isEmpty() const noexcept { return isEmpty_.load(std::memory_order_acquire); }
  // From now on post() says no. What was accepted is still there to be taken.
  void close();

 private:
  void noteFirst() noexcept;

  std::mutex mutex_;
  std::atomic<bool> isEmpty_{true};  // written under the lock
  std::atomic<bool> hasEnded_{false};
  std::vector<Functor> functors_;
  RefPtr<LoopCall> firstCall_;
  LoopCall* lastCall_ = nullptr;
  EventLoop* const loop_;
  const std::thread::id thread_ = std::this_thread::get_id();
  Proactor* proactor_;  // null once closed
};

}  // namespace gyre
