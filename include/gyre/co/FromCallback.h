// FromCallback: awaits an operation that reports its end by a callback.
//
//   const auto start = [&](co::Resume<int> resume) { ask(question, resume); };
//   int answer = co_await co::fromCallback<int>(start);
//
// Thread  `start` runs on the coroutine's loop, once. The Resume may be called on any thread, also
//         inside `start` and after the wait was cancelled; only its first call counts.
#pragma once

#include <coroutine>
#include <exception>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "gyre/base/RefPtr.h"
#include "gyre/co/Argument.h"
#include "gyre/co/Promise.h"
#include "gyre/co/SharedWait.h"

namespace gyre::co {

// What a callback leaves for the coroutine.
template <typename T>
class CallbackState : public RefCounted, public Pooled {
 public:
  std::mutex mutex;
  LinkList<Wake> waits;
  std::optional<Stored<T>> value;
  std::exception_ptr error;

  bool isDone() const noexcept { return value.has_value() || error != nullptr; }
};

// Copyable, so that it fits into std::function.
template <typename T>
class Resume {
 public:
  explicit Resume(RefPtr<CallbackState<T>> state) noexcept : state_(std::move(state)) {}

  void operator()(Stored<T> value) const {
    finish([&](CallbackState<T>& state) { state.value.emplace(std::move(value)); });
  }
  void operator()() const requires std::is_void_v<T> { (*this)(Nothing()); }
  // The wait throws it.
  void fail(const std::exception_ptr& error) const {
    finish([&](CallbackState<T>& state) { state.error = error; });
  }

 private:
  template <typename Set>
  void finish(Set set) const {
    const std::lock_guard lock(state_->mutex);
    if (state_->isDone()) return;
    set(*state_);
    if (SharedWait* wait = popWait(state_->waits)) wait->wakeLocked();
  }

  RefPtr<CallbackState<T>> state_;
};

// Before the wait, which uses its lock until it is destroyed.
template <typename T>
struct CallbackHolder {
  RefPtr<CallbackState<T>> state;
};

template <typename T, typename Start>
class FromCallback final : private CallbackHolder<T>, public SharedWait {
 public:
  explicit FromCallback(Start start)
      : CallbackHolder<T>{makeRef<CallbackState<T>>()},
        SharedWait(this->state->mutex),
        start_(start) {}

  bool await_ready() {
    start_(Resume<T>(this->state));
    const std::lock_guard lock(mutex());
    return this->state->isDone();
  }
  template <typename Type>
  bool await_suspend(std::coroutine_handle<Type> coroutine) noexcept {
    const std::lock_guard lock(mutex());
    return !this->state->isDone() && waitLocked(coroutine, this->state->waits);
  }
  // Throws Cancelled, or what the Resume was given.
  T await_resume() {
    resumed();
    throwIfStopped();
    if (this->state->error != nullptr) std::rethrow_exception(this->state->error);
    if constexpr (!std::is_void_v<T>) return std::move(*this->state->value);
  }

 private:
  Start start_;
};

// Throws what `start` throws.
template <typename T, typename Start>
FromCallback<T, Start> fromCallback(Start&& start) {
  static_assert(kSafeCallable<Start>,
                "make the lambda in a line of its own and pass that variable: g++ 12 would destroy "
                "it twice");
  return FromCallback<T, Start>(start);
}

}  // namespace gyre::co
