// Event: a condition that coroutines of any loops wait for; beside it the counting Semaphore.
//
//   co_await ready.wait();               // until some thread calls ready.set()
//   auto permit = co_await slots.acquire();
//
// Thread  Thread-safe; who waits is resumed on its own loop.
// Ends    When nobody waits (CHECKed).
#pragma once

#include <coroutine>
#include <cstddef>
#include <mutex>
#include <utility>

#include "gyre/base/Check.h"
#include "gyre/base/Export.h"
#include "gyre/co/SharedWait.h"

namespace gyre::co {

class GYRE_API Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { GYRE_CHECK(waits_.isEmpty(), "an Event was destroyed while a coroutine waited"); }

  // From now on nobody waits, until reset().
  void set() noexcept;
  void reset() noexcept;
  bool isSet() const noexcept;

  class Awaiter final : public SharedWait {
   public:
    explicit Awaiter(Event& event) noexcept : SharedWait(event.mutex_), event_(event) {}
    bool await_ready() const noexcept { return false; }
    template <typename Type>
    bool await_suspend(std::coroutine_handle<Type> coroutine) noexcept {
      const std::lock_guard lock(mutex());
      return !event_.isSet_ && waitLocked(coroutine, event_.waits_);
    }
    // Throws Cancelled.
    void await_resume() {
      resumed();
      throwIfStopped();
    }

   private:
    Event& event_;
  };
  Awaiter wait() noexcept { return Awaiter(*this); }

 private:
  mutable std::mutex mutex_;
  LinkList<Wake> waits_;
  bool isSet_ = false;
};

// Gives its permit back when it is destroyed.
class Permit;

class GYRE_API Semaphore {
 public:
  explicit Semaphore(std::size_t permits) noexcept : permits_(permits) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  ~Semaphore() {
    GYRE_CHECK(waits_.isEmpty(), "a Semaphore was destroyed while a coroutine waited");
  }

  void release() noexcept;
  bool tryAcquire() noexcept;
  std::size_t available() const noexcept;

  class Awaiter final : public SharedWait {
   public:
    explicit Awaiter(Semaphore& semaphore) noexcept
        : SharedWait(semaphore.mutex_), semaphore_(semaphore) {}
    bool await_ready() const noexcept { return false; }
    template <typename Type>
    bool await_suspend(std::coroutine_handle<Type> coroutine) noexcept {
      const std::lock_guard lock(mutex());
      if (semaphore_.permits_ == 0) return waitLocked(coroutine, semaphore_.waits_);
      --semaphore_.permits_;
      return false;
    }
    // Throws Cancelled: then nothing was acquired.
    Permit await_resume();

   private:
    Semaphore& semaphore_;
  };
  // In the order of the calls.
  Awaiter acquire() noexcept { return Awaiter(*this); }

 private:
  mutable std::mutex mutex_;
  LinkList<Wake> waits_;
  std::size_t permits_;
};

class [[nodiscard]] Permit {
 public:
  explicit Permit(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}
  Permit(Permit&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
  Permit& operator=(Permit&& other) noexcept {
    std::swap(semaphore_, other.semaphore_);
    return *this;
  }
  ~Permit() {
    if (semaphore_ != nullptr) semaphore_->release();
  }

 private:
  Semaphore* semaphore_;
};

inline Permit Semaphore::Awaiter::await_resume() {
  resumed();
  throwIfStopped();
  return Permit(semaphore_);
}

}  // namespace gyre::co
