// Task: a coroutine that returns a T, and is started by the coroutine that awaits it.
//
//   co::Task<int> half(int value) { co_return value / 2; }
//   int two = co_await half(4);
//
// Nothing runs before it is awaited or spawned, and it is awaited once. What it throws is thrown
// where it is awaited. It runs on the loop, and is cancelled with the scope, of what awaits it.
//
// Thread  The loop of whoever awaits it. Made on any thread.
// Owns    Its frame. One that was never awaited is destroyed unrun.
#pragma once

#include <coroutine>
#include <type_traits>
#include <utility>

#include "gyre/base/Check.h"
#include "gyre/co/Promise.h"
#include "gyre/co/Scheduler.h"

namespace gyre::co {

template <typename T>
class TaskAwaiter;

template <typename T = void>
class [[nodiscard]] Task {
 public:
  static_assert(!std::is_reference_v<T>, "a task returns a value: use a pointer for a reference");

  class promise_type : public ValuePromise<T> {
   public:
    Task get_return_object() noexcept { return Task(Frame::from_promise(*this)); }
  };
  using Frame = std::coroutine_handle<promise_type>;

  Task() noexcept = default;  // empty: it cannot be awaited
  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this == &other) return *this;
    destroy();
    frame_ = std::exchange(other.frame_, nullptr);
    return *this;
  }
  ~Task() { destroy(); }

  explicit operator bool() const noexcept { return frame_ != nullptr; }

  TaskAwaiter<T> operator co_await() && noexcept;

  // Internal
  Frame frame() const noexcept {
    GYRE_CHECK(frame_ != nullptr, "an empty task was awaited");
    return frame_;
  }
  Frame release() noexcept { return std::exchange(frame_, nullptr); }

 private:
  explicit Task(Frame frame) noexcept : frame_(frame) {}
  void destroy() noexcept {
    if (frame_ != nullptr) frame_.destroy();
  }

  Frame frame_;
};

// Awaits one task, in the scope of the parent or in another.
template <typename T>
class TaskAwaiter {
 public:
  explicit TaskAwaiter(typename Task<T>::Frame frame, StopScope* scope = nullptr) noexcept
      : frame_(frame), scope_(scope) {}

  bool await_ready() const noexcept { return false; }
  template <typename Parent>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Parent> parent) noexcept {
    Promise& promise = parent.promise();
    StopScope& scope = scope_ != nullptr ? *scope_ : promise.scope();
    frame_.promise().startFor(promise, frame_, parent, scope);
    return promise.scheduler().transfer(frame_);
  }
  T await_resume() { return frame_.promise().take(); }

 protected:
  typename Task<T>::Frame frame_;
  StopScope* scope_;
};

template <typename T>
TaskAwaiter<T> Task<T>::operator co_await() && noexcept {
  return TaskAwaiter<T>(frame());
}

}  // namespace gyre::co
