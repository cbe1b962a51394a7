// Promise: what every task of gyre has in its frame: its loop, its scope, and who awaits it.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "gyre/base/Check.h"
#include "gyre/base/Export.h"
#include "gyre/co/FramePool.h"
#include "gyre/co/StopScope.h"
#include "gyre/co/Wake.h"

namespace gyre::co {

class Promise;
class Scheduler;

// Whom the end of a task is told, where that is no coroutine that awaits this task alone.
class Completion {
 public:
  // Returns what is to be resumed next. The frame stays until its owner destroys it.
  virtual std::coroutine_handle<> taskEnded(Promise& promise) noexcept = 0;

 protected:
  ~Completion() = default;
};

class GYRE_API Promise : public Pooled, public Wake {
 public:
  class Final {
   public:
    bool await_ready() const noexcept { return false; }
    template <typename Type>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Type> self) const noexcept {
      return static_cast<Promise&>(self.promise()).end();
    }
    void await_resume() const noexcept {}
  };

  Promise() = default;
  Promise(const Promise&) = delete;
  Promise& operator=(const Promise&) = delete;

  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  // --- Once it was started

  Scheduler& scheduler() const noexcept {
    GYRE_DCHECK(scheduler_ != nullptr, "a task was used before it was started");
    return *scheduler_;
  }
  StopScope& scope() const noexcept { return *scope_; }
  const std::exception_ptr& error() const noexcept { return error_; }

  // --- Internal: each once, before the first resume

  void startFor(Promise& parent, std::coroutine_handle<> self, std::coroutine_handle<> waiting,
                StopScope& scope) noexcept {
    start(parent.scheduler(), self, scope);
    waiting_ = waiting;
  }
  void startFor(Completion& completion, Scheduler& scheduler, std::coroutine_handle<> self,
                StopScope& scope) noexcept {
    start(scheduler, self, scope);
    completion_ = &completion;
  }

 protected:
  ~Promise() = default;
  void rethrow() {
    if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  void start(Scheduler& scheduler, std::coroutine_handle<> self, StopScope& scope) noexcept {
    GYRE_CHECK(scheduler_ == nullptr, "a task was awaited twice");
    scheduler_ = &scheduler;
    setCoroutine(self);
    scope_ = &scope;
  }
  std::coroutine_handle<> end() noexcept;

  Scheduler* scheduler_ = nullptr;
  StopScope* scope_ = nullptr;
  std::coroutine_handle<> waiting_;   // the parent, or …
  Completion* completion_ = nullptr;  // … whom else the end is told
  std::exception_ptr error_;
};

// A value that a task returned, as something that can be stored: void becomes Nothing.
struct Nothing {
  friend bool operator==(Nothing, Nothing) = default;
};
template <typename T>
using Stored = std::conditional_t<std::is_void_v<T>, Nothing, T>;

template <typename T>
class ValuePromise : public Promise {
 public:
  template <typename Value>
  requires std::is_constructible_v<T, Value&&>
  void return_value(Value&& value) { value_.emplace(std::forward<Value>(value)); }
  // REQUIRES: the task has ended. Throws what it threw.
  T take() {
    rethrow();
    return std::move(*value_);
  }
  Stored<T> takeStored() { return take(); }

 private:
  std::optional<T> value_;
};

template <>
class ValuePromise<void> : public Promise {
 public:
  void return_void() const noexcept {}
  void take() { rethrow(); }
  Nothing takeStored() {
    rethrow();
    return {};
  }
};

}  // namespace gyre::co
