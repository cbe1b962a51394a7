// StopScope: the waits of a task and the scopes below it, which are cancelled together.
//
// Thread  The loop's.
// Borrows Its parent, which outlives it.
// Ends    When nothing waits in it (CHECKed).
#pragma once

#include "gyre/base/Check.h"
#include "gyre/co/Link.h"

namespace gyre::co {

// A wait that can be cancelled.
class StopWaiter : public Link {
 public:
  // Runs once, inside StopScope::request(): ends the wait soon, and resumes nobody here. The waiter
  // has left the scope.
  virtual void onStop() noexcept = 0;

 protected:
  StopWaiter() = default;
  ~StopWaiter() = default;
};

class StopScope : public Link {
 public:
  explicit StopScope(StopScope* parent) noexcept;
  ~StopScope() {
    GYRE_CHECK(waiters_.isEmpty() && children_.isEmpty(),
               "a StopScope ended while something waited in it");
  }

  // True from request() on, of this scope or of one above.
  bool isRequested() const noexcept { return isRequested_; }
  // Cancels all that waits in this scope and below, and all that will.
  void request() noexcept;
  // REQUIRES: not isRequested().
  void add(StopWaiter& waiter) noexcept { waiters_.append(waiter); }

 private:
  LinkList<StopWaiter> waiters_;
  LinkList<StopScope> children_;
  bool isRequested_ = false;
};

inline StopScope::StopScope(StopScope* parent) noexcept {
  if (parent == nullptr) return;
  isRequested_ = parent->isRequested_;
  parent->children_.append(*this);
}

inline void StopScope::request() noexcept {
  if (isRequested_) return;
  isRequested_ = true;
  while (StopWaiter* waiter = waiters_.pop()) waiter->onStop();
  children_.forEach([](StopScope& child) { child.request(); });
}

}  // namespace gyre::co
