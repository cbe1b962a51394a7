// Time: sleeping, and a limit for how long something may take.
#pragma once

#include <coroutine>
#include <utility>

#include "gyre/base/Export.h"
#include "gyre/base/Time.h"
#include "gyre/co/Errors.h"
#include "gyre/co/Result.h"
#include "gyre/co/Scope.h"
#include "gyre/co/Task.h"
#include "gyre/co/Wait.h"
#include "gyre/loop/TimerId.h"

namespace gyre::co {

class GYRE_API Sleep final : public Wait {
 public:
  explicit Sleep(TimeSpan delay) noexcept : delay_(delay) {}
  ~Sleep() { disarm(); }

  bool await_ready() const noexcept { return false; }
  // May throw std::bad_alloc.
  template <typename Type>
  bool await_suspend(std::coroutine_handle<Type> coroutine) {
    if (!enter(coroutine)) return false;
    arm();
    return true;
  }
  // Throws Cancelled.
  void await_resume() const { throwIfStopped(); }

 private:
  void arm();
  void disarm() noexcept;
  void onStop() noexcept override;

  const Duration delay_;
  TimerId timer_;
};

// Waits for so long; zero or less: until the loop's next iteration; beyond kLongestSpan: for ever.
inline Sleep sleep(TimeSpan delay) noexcept { return Sleep(delay); }

namespace internal {

// Cancels a scope when the time is over.
class GYRE_API TimeLimit {
 public:
  TimeLimit(EventLoop& loop, TimeSpan limit, StopScope& scope);
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;
  ~TimeLimit();
  bool isOver() const noexcept { return isOver_; }

 private:
  EventLoop& loop_;
  TimerId timer_;
  bool isOver_ = false;
};

}  // namespace internal

// The task's value. A limit of zero or less is over at once, because it may be what is left of a
// deadline; one beyond kLongestSpan never is. When it has not ended by then it is cancelled, its
// end is awaited, and TimedOut is thrown; a task that ends with a value all the same has that
// value.
template <typename T>
Task<T> withTimeout(TimeSpan limit, Task<T> task) {
  Promise& self = co_await internal::ThisPromise();
  StopScope scope(&self.scope());
  const internal::TimeLimit timer(self.scheduler().loop(), limit, scope);
  Result<T> result = co_await internal::ResultAwaiter<T>(task.frame(), &scope);
  const bool isOver = timer.isOver() && !self.scope().isRequested();
  if (isOver && result.isCancelled()) throw TimedOut();
  co_return result.take();
}

}  // namespace gyre::co
