// SharedWait: a wait on something that several loops share, under the lock of that thing.
//
// Thread  wakeLocked() on any thread, under the lock; the rest on the waiting coroutine's loop.
// Borrows The lock, which outlives it.
#pragma once

#include <coroutine>
#include <mutex>

#include "gyre/base/Export.h"
#include "gyre/co/Link.h"
#include "gyre/co/Wait.h"

namespace gyre::co {

class GYRE_API SharedWait : public Wait {
 public:
  explicit SharedWait(std::mutex& mutex) noexcept : mutex_(mutex) {}

  // It was taken out of its list, and its coroutine is to go on.
  void wakeLocked() noexcept;

 protected:
  ~SharedWait();

  // Waits in the list. False when the scope is cancelled already. REQUIRES: under the lock.
  template <typename Type>
  bool waitLocked(std::coroutine_handle<Type> coroutine, LinkList<Wake>& list) noexcept {
    if (!enter(coroutine)) return false;
    isListed_ = true;
    list.append(*this);
    return true;
  }
  // First in await_resume().
  void resumed() noexcept {
    isListed_ = false;
    StopWaiter::unlink();
  }
  std::mutex& mutex() const noexcept { return mutex_; }

 private:
  void onStop() noexcept override;

  std::mutex& mutex_;
  bool isWoken_ = false;   // under the lock: it has left its list
  bool isListed_ = false;  // true exactly from waitLocked() until resumed()
};

// The oldest of those that wait in a list, taken out, or null. REQUIRES: under the lock.
inline SharedWait* popWait(LinkList<Wake>& list) noexcept {
  return static_cast<SharedWait*>(list.pop());
}

}  // namespace gyre::co
