// Channel: a bounded queue of values between the coroutines of any loops.
//
//   co_await channel.send(std::move(order));             // waits while it is full
//   while (auto order = co_await channel.receive()) …    // nothing once it is closed and empty
//
// Values are received in the order in which they were sent. A send that is cancelled has not sent;
// a receive that is cancelled has not received.
//
// Thread  Thread-safe; who waits is resumed on its own loop.
// Owns    The values not yet received.
// Ends    When nobody waits (CHECKed).
#pragma once

#include <coroutine>
#include <cstddef>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "gyre/base/Check.h"
#include "gyre/co/Argument.h"
#include "gyre/co/SharedWait.h"

namespace gyre::co {

template <typename T>
class Channel {
 public:
  static_assert(std::is_nothrow_move_constructible_v<T>, "a value must not get lost on its way");

  // Holds so many values, at least 1. Throws std::bad_alloc.
  explicit Channel(std::size_t capacity) : ring_(capacity) {
    GYRE_CHECK(capacity > 0, "a Channel needs room for one value at least");
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    GYRE_CHECK(senders_.isEmpty() && receivers_.isEmpty(),
               "a Channel was destroyed while a coroutine waited");
  }

  class SendAwaiter;
  class ReceiveAwaiter;

  // True when it was sent, false when the channel is closed. Throws Cancelled.
  template <typename U>
  requires std::is_constructible_v<T, U&&> SendAwaiter send(U&& value) {
    static_assert(kSafeArgument<U, T>,
                  "g++ 12 would destroy this value twice: give its type a constructor, or make it "
                  "in a line of its own and pass that variable");
    return SendAwaiter(*this, T(std::forward<U>(value)));
  }
  // The next value; nothing once the channel is closed and empty. Throws Cancelled.
  ReceiveAwaiter receive() noexcept { return ReceiveAwaiter(*this); }
  // False when the channel is full or closed: then the value is as before.
  bool trySend(T& value);
  std::optional<T> tryReceive();
  // Nothing is sent from now on. What was sent is still received.
  void close() noexcept;
  std::size_t size() const noexcept {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  // All under the lock.
  bool sendLocked(T& value);
  std::optional<T> receiveLocked();
  void push(T&& value);
  T pop();

  mutable std::mutex mutex_;
  std::vector<std::optional<T>> ring_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  bool isClosed_ = false;
  LinkList<Wake> senders_;    // not empty: it is full
  LinkList<Wake> receivers_;  // not empty: it is empty
};

template <typename T>
class Channel<T>::SendAwaiter final : public SharedWait {
 public:
  SendAwaiter(Channel& channel, T&& value)
      : SharedWait(channel.mutex_), channel_(channel), value_(std::move(value)) {}
  bool await_ready() const noexcept { return false; }
  template <typename Type>
  bool await_suspend(std::coroutine_handle<Type> coroutine) {
    const std::lock_guard lock(mutex());
    if (channel_.isClosed_) return false;
    isSent_ = channel_.sendLocked(value_);
    return !isSent_ && waitLocked(coroutine, channel_.senders_);
  }
  bool await_resume() {
    resumed();
    throwIfStopped();
    return isSent_;
  }

 private:
  friend class Channel;
  Channel& channel_;
  T value_;
  bool isSent_ = false;
};

template <typename T>
class Channel<T>::ReceiveAwaiter final : public SharedWait {
 public:
  explicit ReceiveAwaiter(Channel& channel) noexcept
      : SharedWait(channel.mutex_), channel_(channel) {}
  bool await_ready() const noexcept { return false; }
  template <typename Type>
  bool await_suspend(std::coroutine_handle<Type> coroutine) {
    const std::lock_guard lock(mutex());
    value_ = channel_.receiveLocked();
    return !value_ && !channel_.isClosed_ && waitLocked(coroutine, channel_.receivers_);
  }
  std::optional<T> await_resume() {
    resumed();
    throwIfStopped();
    return std::move(value_);
  }

 private:
  friend class Channel;
  Channel& channel_;
  std::optional<T> value_;
};

template <typename T>
bool Channel<T>::sendLocked(T& value) {
  if (SharedWait* wait = popWait(receivers_)) {
    static_cast<ReceiveAwaiter*>(wait)->value_.emplace(std::move(value));
    wait->wakeLocked();
    return true;
  }
  if (count_ == ring_.size()) return false;
  push(std::move(value));
  return true;
}

template <typename T>
std::optional<T> Channel<T>::receiveLocked() {
  if (count_ == 0) return std::nullopt;
  std::optional<T> value(pop());
  if (SharedWait* wait = popWait(senders_)) {
    auto* sender = static_cast<SendAwaiter*>(wait);
    push(std::move(sender->value_));
    sender->isSent_ = true;
    wait->wakeLocked();
  }
  return value;
}

template <typename T>
bool Channel<T>::trySend(T& value) {
  const std::lock_guard lock(mutex_);
  return !isClosed_ && sendLocked(value);
}

template <typename T>
std::optional<T> Channel<T>::tryReceive() {
  const std::lock_guard lock(mutex_);
  return receiveLocked();
}

template <typename T>
void Channel<T>::close() noexcept {
  const std::lock_guard lock(mutex_);
  isClosed_ = true;
  while (SharedWait* wait = popWait(senders_)) wait->wakeLocked();
  while (SharedWait* wait = popWait(receivers_)) wait->wakeLocked();
}

template <typename T>
void Channel<T>::push(T&& value) {
  std::size_t place = first_ + count_;
  if (place >= ring_.size()) place -= ring_.size();
  ring_[place].emplace(std::move(value));
  ++count_;
}

template <typename T>
T Channel<T>::pop() {
  T value = std::move(*ring_[first_]);
  ring_[first_].reset();
  if (++first_ == ring_.size()) first_ = 0;
  --count_;
  return value;
}

}  // namespace gyre::co
