// Scope: tasks that are started one by one, and end before the scope does.
//
//   const auto body = [&](co::Scope& scope) -> co::Task<> {
//     while (auto job = co_await jobs.receive()) scope.spawn(work(*job));
//   };
//   co_await co::scoped(body);   // ends when the body and all that it spawned have ended
//
// An error of the body or of a task cancels the rest, and is thrown once all have ended.
//
// Thread  The loop of whoever awaits scoped().
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>

#include "gyre/base/Export.h"
#include "gyre/co/Argument.h"
#include "gyre/co/Promise.h"
#include "gyre/co/Result.h"
#include "gyre/co/StopScope.h"
#include "gyre/co/Task.h"

namespace gyre::co {

class GYRE_API Scope final : public Completion {
 public:
  // Internal: made by scoped().
  Scope(Scheduler& scheduler, StopScope& parent) noexcept : scheduler_(scheduler), stop_(&parent) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() { GYRE_CHECK(running_ == 0, "a Scope ended before its tasks"); }

  // Starts it at the end of the loop's iteration.
  void spawn(Task<> task) noexcept;
  // Cancels the body and all tasks.
  void cancel() noexcept { stop_.request(); }
  std::size_t running() const noexcept { return running_; }

  // --- Internal

  StopScope& stop() noexcept { return stop_; }
  // The body or a task threw.
  void fail(const std::exception_ptr& error) noexcept;
  const std::exception_ptr& error() const noexcept { return error_; }
  std::coroutine_handle<> taskEnded(Promise& promise) noexcept override;

  // Waits for the last. A cancel reaches the tasks, not this.
  class Awaiter {
   public:
    explicit Awaiter(Scope& scope) noexcept : scope_(scope) {}
    bool await_ready() const noexcept { return scope_.running_ == 0; }
    void await_suspend(std::coroutine_handle<> parent) noexcept { scope_.waiting_ = parent; }
    void await_resume() const noexcept {}

   private:
    Scope& scope_;
  };

 private:
  Scheduler& scheduler_;
  StopScope stop_;
  std::size_t running_ = 0;
  std::coroutine_handle<> waiting_;
  std::exception_ptr error_;
};

namespace internal {

// The promise of the coroutine that awaits it.
class ThisPromise {
 public:
  bool await_ready() const noexcept { return false; }
  template <typename Type>
  bool await_suspend(std::coroutine_handle<Type> coroutine) noexcept {
    promise_ = &coroutine.promise();
    return false;
  }
  Promise& await_resume() const noexcept { return *promise_; }

 private:
  Promise* promise_ = nullptr;
};

// Awaits a task in another scope than the parent's; does not throw.
template <typename T>
class ResultAwaiter : public TaskAwaiter<T> {
 public:
  using TaskAwaiter<T>::TaskAwaiter;
  Result<T> await_resume() { return Result<T>::of(this->frame_.promise()); }
};

}  // namespace internal

// True once the coroutine that awaits this was cancelled: `if (co_await co::isStopRequested()) …`
class StopRequested {
 public:
  bool await_ready() const noexcept { return false; }
  template <typename Type>
  bool await_suspend(std::coroutine_handle<Type> coroutine) noexcept {
    isRequested_ = coroutine.promise().scope().isRequested();
    return false;
  }
  bool await_resume() const noexcept { return isRequested_; }

 private:
  bool isRequested_ = false;
};
inline StopRequested isStopRequested() noexcept { return {}; }

// The task's value, or what it threw.
template <typename T>
Task<Result<T>> asResult(Task<T> task) {
  co_return co_await internal::ResultAwaiter<T>(task.frame());
}

namespace internal {

template <typename Body>
Task<> runScope(Body body) {
  Promise& self = co_await ThisPromise();
  Scope scope(self.scheduler(), self.scope());
  Task<> task = body(scope);
  const Result<void> result = co_await ResultAwaiter<void>(task.frame(), &scope.stop());
  if (!result) scope.fail(result.error());
  co_await Scope::Awaiter(scope);
  if (self.scope().isRequested()) throw Cancelled();
  if (scope.error() != nullptr) std::rethrow_exception(scope.error());
}

}  // namespace internal

// Runs `body(scope)`, which returns a Task<>.
template <typename Body>
Task<> scoped(Body&& body) {
  static_assert(kSafeCallable<Body>,
                "make the lambda in a line of its own and pass that variable: it must live as long "
                "as the scope, and g++ 12 would destroy it twice");
  return internal::runScope<Body>(body);
}

}  // namespace gyre::co
