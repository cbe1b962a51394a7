// Spawn: starts a task that no parent awaits; and runOn, which runs a task on another loop.
//
//   auto job = co::spawn(&loop, work(order), "work");   // from any thread
//   co_await job.join();                                // its value, or what it threw
//
// Thread  Thread-safe; the task runs on its loop.
// Owns    The task, until it has ended, also when no handle is left.
#pragma once

#include <coroutine>
#include <exception>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>

#include "gyre/base/Check.h"
#include "gyre/base/Export.h"
#include "gyre/base/RefPtr.h"
#include "gyre/co/Result.h"
#include "gyre/co/Scope.h"
#include "gyre/co/SharedWait.h"
#include "gyre/co/StopScope.h"
#include "gyre/co/Task.h"

namespace gyre::co {

// What is the same for tasks of every type.
class GYRE_API SpawnedBase : public RefCounted, public RootTask, public Completion {
 public:
  // Begins it at the end of the loop's iteration. False when the loop has ended: then it never
  // runs. May throw std::bad_alloc.
  static bool start(const RefPtr<SpawnedBase>& task);
  // Thread-safe. May throw std::bad_alloc.
  static void cancel(const RefPtr<SpawnedBase>& task);
  // What cancels it by post(), which cannot fail. May throw std::bad_alloc.
  static RefPtr<LoopCall> makeCancel(const RefPtr<SpawnedBase>& task);
  void post(LoopCall& call) noexcept { mailbox_->post(call); }
  // The user's handle goes.
  void release() noexcept;
  bool hasEnded() const noexcept;

  std::coroutine_handle<> taskEnded(Promise& promise) noexcept override;
  void cancelInLoop() noexcept override;

  virtual ~SpawnedBase() = default;
  static void* operator new(std::size_t size) { return allocateFrame(size); }
  static void operator delete(void* object, std::size_t size) noexcept { freeFrame(object, size); }

 protected:
  friend class JoinBase;

  SpawnedBase(EventLoop* loop, std::string name);
  virtual Promise& promise() noexcept = 0;
  virtual std::coroutine_handle<> frame() noexcept = 0;
  // Moves the result out of the frame, and lets go of that.
  virtual void keepResult() noexcept = 0;
  virtual void destroyUnrun(const std::exception_ptr& error) noexcept = 0;

  mutable std::mutex mutex_;
  std::exception_ptr error_;  // under the lock, as are the next four
  bool hasEnded_ = false;
  bool isReleased_ = false;
  bool isTaken_ = false;
  LinkList<Wake> joiners_;

 private:
  void startInLoop() noexcept;
  void endUnrun(std::exception_ptr error) noexcept;
  void endLocked() noexcept;

  const RefPtr<Mailbox> mailbox_;
  const std::string name_;
  StopScope stop_{nullptr};
  RefPtr<SpawnedBase> self_;  // while it runs
  Scheduler* scheduler_ = nullptr;
};

template <typename T>
class SpawnedTask final : public SpawnedBase {
 public:
  SpawnedTask(EventLoop* loop, Task<T> task, std::string name)
      : SpawnedBase(loop, std::move(name)), task_(std::move(task)) {}

  // REQUIRES: it has ended. Throws what it threw.
  T take() {
    GYRE_CHECK(!std::exchange(isTaken_, true) || std::is_void_v<T>,
               "the value of a task was asked for twice");
    return result_.take();
  }

 private:
  Promise& promise() noexcept override { return task_.frame().promise(); }
  std::coroutine_handle<> frame() noexcept override { return task_.frame(); }
  void keepResult() noexcept override {
    result_ = Result<T>::of(task_.frame().promise());
    static_cast<void>(task_.release());
  }
  void destroyUnrun(const std::exception_ptr& error) noexcept override {
    task_ = Task<T>();
    result_ = Result<T>(error);
  }

  Task<T> task_;
  Result<T> result_;
};

// Before the wait, which uses the task's lock until it is destroyed.
struct JoinedTask {
  RefPtr<SpawnedBase> task;
};

class GYRE_API JoinBase : protected JoinedTask, public SharedWait {
 public:
  bool await_ready() const noexcept { return false; }
  template <typename Type>
  bool await_suspend(std::coroutine_handle<Type> coroutine) noexcept {
    const std::lock_guard lock(mutex());
    return !task->hasEnded_ && waitLocked(coroutine, task->joiners_);
  }

 protected:
  explicit JoinBase(RefPtr<SpawnedBase> joined) noexcept
      : JoinedTask{std::move(joined)}, SharedWait(task->mutex_) {}
  ~JoinBase() = default;
};

template <typename T>
class Spawned {
 public:
  Spawned() noexcept = default;
  explicit Spawned(RefPtr<SpawnedTask<T>> task) noexcept : task_(std::move(task)) {}
  Spawned(Spawned&& other) noexcept = default;
  Spawned& operator=(Spawned&& other) noexcept {
    std::swap(task_, other.task_);
    return *this;
  }
  // The task goes on. What it throws is logged then.
  ~Spawned() {
    if (task_) task_->release();
  }

  // Asks it to end soon: its waits throw Cancelled. May throw std::bad_alloc.
  void cancel() const { SpawnedBase::cancel(base()); }
  bool hasEnded() const noexcept { return task_->hasEnded(); }

  class Join final : public JoinBase {
   public:
    explicit Join(RefPtr<SpawnedTask<T>> joined) noexcept
        : JoinBase(RefPtr<SpawnedBase>(joined.get())) {}
    T await_resume() {
      resumed();
      throwIfStopped();
      return static_cast<SpawnedTask<T>*>(this->task.get())->take();
    }
  };
  // Waits for its end, from any loop: its value, or what it threw; LoopEnded when it never ran.
  // Throws Cancelled when the wait is cancelled, which the task does not notice.
  Join join() const noexcept { return Join(task_); }

 private:
  RefPtr<SpawnedBase> base() const noexcept { return RefPtr<SpawnedBase>(task_.get()); }

  RefPtr<SpawnedTask<T>> task_;
};

// The name appears in the log when the task throws and nobody takes that. REQUIRES: what the task
// borrows lives until it has ended. Throws std::bad_alloc.
template <typename T>
Spawned<T> spawn(EventLoop* loop, Task<T> task, std::string name = "task") {
  auto spawned = makeRef<SpawnedTask<T>>(loop, std::move(task), std::move(name));
  SpawnedBase::start(RefPtr<SpawnedBase>(spawned.get()));
  return Spawned<T>(std::move(spawned));
}

namespace internal {

// A cancel reaches the task, and this waits on for its end.
template <typename T>
class RunOnJoin final : public JoinBase {
 public:
  explicit RunOnJoin(RefPtr<SpawnedTask<T>> joined)
      : JoinBase(RefPtr<SpawnedBase>(joined.get())), cancel_(SpawnedBase::makeCancel(task)) {}
  T await_resume() {
    resumed();
    return static_cast<SpawnedTask<T>*>(this->task.get())->take();
  }

 private:
  void onStop() noexcept override { task->post(*cancel_); }

  const RefPtr<LoopCall> cancel_;
};

// Runs a task until the token asks it to stop.
template <typename T>
Task<T> stoppedBy(EventLoop* loop, Task<T> task, std::stop_token token) {
  Promise& self = co_await ThisPromise();
  StopScope scope(&self.scope());
  // Disarmed on the loop before the scope ends: what was posted by then does nothing.
  const RefPtr<LoopCall> stop = makeRef<LoopCall>([&scope] { scope.request(); });
  const auto post = [&] { loop->mailbox()->post(*stop); };
  const std::stop_callback callback(std::move(token), post);
  Result<T> result = co_await ResultAwaiter<T>(task.frame(), &scope);
  stop->disarm();
  co_return result.take();
}

}  // namespace internal

// Runs the task on that loop, and comes back: a coroutine never leaves its loop. A cancel of this
// cancels the task, and waits for its end. Throws LoopEnded when that loop has ended.
template <typename T>
Task<T> runOn(EventLoop* loop, Task<T> task) {
  auto spawned = makeRef<SpawnedTask<T>>(loop, std::move(task), "runOn");
  internal::RunOnJoin<T> join(spawned);
  SpawnedBase::start(RefPtr<SpawnedBase>(spawned.get()));
  co_return co_await join;
}

// As spawn(), and the token cancels it too, from any thread.
template <typename T>
Spawned<T> spawn(EventLoop* loop, Task<T> task, std::stop_token token, std::string name = "task") {
  return spawn(loop, internal::stoppedBy(loop, std::move(task), std::move(token)), std::move(name));
}

}  // namespace gyre::co
