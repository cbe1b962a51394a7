#include "gyre/co/SharedWait.h"

namespace gyre::co {

void SharedWait::wakeLocked() noexcept {
  isWoken_ = true;
  if (scheduler().loop().isInLoopThread()) return leave();
  // Under the lock, so that the frame cannot be destroyed before.
  scheduler().wakes()->put(*this);
}

void SharedWait::onStop() noexcept {
  const std::lock_guard lock(mutex_);
  if (isWoken_) return;  // it goes on with what it waited for
  Wake::unlink();
  isWoken_ = true;
  leaveStopped();
}

SharedWait::~SharedWait() {
  if (!isListed_) return;
  const std::lock_guard lock(mutex_);
  if (isWoken_) {
    scheduler().wakes()->withdraw(*this);
  } else {
    Wake::unlink();
  }
}

}  // namespace gyre::co
