#include "gyre/co/Event.h"

namespace gyre::co {

void Event::set() noexcept {
  const std::lock_guard lock(mutex_);
  isSet_ = true;
  while (SharedWait* wait = popWait(waits_)) wait->wakeLocked();
}

void Event::reset() noexcept {
  const std::lock_guard lock(mutex_);
  isSet_ = false;
}

bool Event::isSet() const noexcept {
  const std::lock_guard lock(mutex_);
  return isSet_;
}

void Semaphore::release() noexcept {
  const std::lock_guard lock(mutex_);
  SharedWait* wait = popWait(waits_);
  if (wait != nullptr) return wait->wakeLocked();  // the permit is its own now
  ++permits_;
}

bool Semaphore::tryAcquire() noexcept {
  const std::lock_guard lock(mutex_);
  if (permits_ == 0) return false;
  --permits_;
  return true;
}

std::size_t Semaphore::available() const noexcept {
  const std::lock_guard lock(mutex_);
  return permits_;
}

}  // namespace gyre::co
