// Scheduler: resumes the coroutines of one loop, on its thread, and knows the tasks spawned there.
//
// A coroutine lives on one loop for life. What another coroutine or another thread lets go on is
// resumed by the loop, never inside the call that did it.
//
// Thread  The loop's, but for ScheduledWakes::put().
// Owns    Nothing of the tasks: their Spawned handles and their own run own them.
// Borrows Its loop, which owns it as a resident.
// Ends    With the loop: that cancels every task, and waits for their ends.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <mutex>

#include "gyre/base/Export.h"
#include "gyre/base/RefPtr.h"
#include "gyre/co/Link.h"
#include "gyre/co/Promise.h"
#include "gyre/co/Wake.h"
#include "gyre/loop/EventLoop.h"

namespace gyre::co {

class Scheduler;

// The coroutines of one loop that other threads have woken.
class GYRE_API ScheduledWakes : public RefCounted {
 public:
  // Throws std::bad_alloc.
  explicit ScheduledWakes(Scheduler& scheduler);

  // Thread-safe. REQUIRES: the wake is in no list, and its coroutine is suspended on that loop.
  void put(Wake& wake) noexcept;
  // Loop thread: the wake is in no list of another thread's any more.
  void withdraw(Wake& wake) noexcept;

 private:
  friend class Scheduler;

  std::mutex mutex_;
  LinkList<Wake> wakes_;
  const RefPtr<Mailbox> mailbox_;
  const RefPtr<LoopCall> take_;
  bool hasEnded_ = false;
};

// A task that nobody awaits as its parent: see Spawn.h.
class RootTask : public Link {
 public:
  // Asks it to end soon.
  virtual void cancelInLoop() noexcept = 0;

 protected:
  RootTask() = default;
  ~RootTask() = default;
};

class GYRE_API Scheduler final : public LoopResident {
 public:
  // Internal: made by of().
  explicit Scheduler(EventLoop& loop);
  ~Scheduler() override;

  // That of a loop; made by the first call, which may throw std::bad_alloc.
  // REQUIRES: the loop's thread.
  static Scheduler& of(EventLoop& loop);

  EventLoop& loop() const noexcept { return loop_; }
  const RefPtr<ScheduledWakes>& wakes() const noexcept { return wakes_; }

  // Resumes it now, and what that leads to. Not from inside a call of the user's.
  void run(std::coroutine_handle<> coroutine) noexcept;
  // Resumes it at the end of the loop's iteration, in turn. REQUIRES: the wake is in no list.
  void schedule(Wake& wake) noexcept;
  // Where a coroutine that suspends goes on: at the other one, and now and then by way of run(),
  // so that the stack stays bounded where the compiler makes no tail call (g++ below -O2, and under
  // sanitizers).
  std::coroutine_handle<> transfer(std::coroutine_handle<> coroutine) noexcept {
    if (++transfers_ < kTransfersMax) return coroutine;
    bounced_ = coroutine;
    return std::noop_coroutine();
  }
  // Destroys a frame at its final suspension once nothing of it is on the stack.
  void destroyLater(Promise& promise) noexcept { dying_.append(promise); }

  void add(RootTask& task) noexcept;
  // A task has ended.
  void ended(RootTask& task) noexcept;

  void beginClose() noexcept override;
  void settle() noexcept override;

 private:
  static constexpr int kTransfersMax = 128;

  void takeForeign() noexcept;
  void endIfIdle() noexcept;

  EventLoop& loop_;
  RefPtr<ScheduledWakes> wakes_;
  LinkList<Wake> ready_;
  LinkList<Wake> turn_;  // those of this settle()
  LinkList<RootTask> tasks_;
  LinkList<Wake> dying_;
  std::coroutine_handle<> bounced_;
  int transfers_ = 0;
  int depth_ = 0;  // of run() in run()
  bool isClosing_ = false;
  bool isRegistered_ = false;
  Scheduler* next_ = nullptr;  // of another loop of this thread
  friend class ScheduledWakes;
};

}  // namespace gyre::co
