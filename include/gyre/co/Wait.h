// Wait: one suspension of a coroutine, which ends by what it waits for or by its cancellation.
//
// An awaiter derives from it. Whichever comes first ends the wait, and resumes the coroutine once,
// from the loop.
//
// Thread  The loop's.
// Ends    Destroyed while it waits (its frame is), it is forgotten.
#pragma once

#include <coroutine>

#include "gyre/base/Check.h"
#include "gyre/co/Errors.h"
#include "gyre/co/Promise.h"
#include "gyre/co/Scheduler.h"
#include "gyre/co/StopScope.h"
#include "gyre/co/Wake.h"

namespace gyre::co {

class GYRE_API Wait : public StopWaiter, public Wake {
 public:
  Wait() = default;

 protected:
  ~Wait() = default;

  // Begins to wait. False when its scope is cancelled already: then do not suspend.
  template <typename Type>
  bool enter(std::coroutine_handle<Type> coroutine) noexcept {
    Promise& promise = coroutine.promise();
    GYRE_CHECK(promise.scheduler().loop().isInLoopThread(),
               "a coroutine awaited on another thread than its loop's: use runOn(loop, task)");
    scheduler_ = &promise.scheduler();
    setCoroutine(coroutine);
    if (promise.scope().isRequested()) {
      isStopped_ = true;
      return false;
    }
    promise.scope().add(*this);
    return true;
  }
  // Ends the wait: the coroutine is resumed in its turn.
  void leave() noexcept {
    StopWaiter::unlink();
    scheduler_->schedule(*this);
  }
  // Ends the wait as cancelled.
  void leaveStopped() noexcept {
    isStopped_ = true;
    leave();
  }
  void throwIfStopped() const {
    if (isStopped_) throw Cancelled();
  }
  bool isStopped() const noexcept { return isStopped_; }
  Scheduler& scheduler() const noexcept { return *scheduler_; }

 private:
  Scheduler* scheduler_ = nullptr;
  bool isStopped_ = false;
};

}  // namespace gyre::co
