// Result: the value of a task, or the exception that it threw.
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "gyre/base/Check.h"
#include "gyre/co/Errors.h"
#include "gyre/co/Promise.h"

namespace gyre::co {

template <typename T>
class Result {
 public:
  Result() = default;  // neither: only to be assigned to
  explicit Result(Stored<T> value) : value_(std::move(value)) {}
  explicit Result(std::exception_ptr error) noexcept : error_(std::move(error)) {}
  // Of a task that has ended.
  static Result of(ValuePromise<T>& promise) {
    if (promise.error() != nullptr) return Result(promise.error());
    return Result(promise.takeStored());
  }

  explicit operator bool() const noexcept { return value_.has_value(); }
  bool isCancelled() const noexcept { return co::isCancelled(error_); }
  const std::exception_ptr& error() const noexcept { return error_; }
  // REQUIRES: it has a value.
  Stored<T>& operator*() noexcept {
    GYRE_CHECK(value_.has_value(), "a Result without a value was read: look at it first");
    return *value_;
  }
  Stored<T>* operator->() noexcept { return &**this; }
  // The value, or throws what the task threw.
  T take() {
    if (error_ != nullptr) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<T>) return std::move(**this);
  }

 private:
  std::optional<Stored<T>> value_;
  std::exception_ptr error_;
};

}  // namespace gyre::co
