#include "gyre/loop/Mailbox.h"

#include "gyre/proactor/Proactor.h"

namespace gyre {

bool Mailbox::post(Functor functor) {
  const std::lock_guard lock(mutex_);
  if (proactor_ == nullptr) return false;
  functors_.push_back(std::move(functor));
  isEmpty_.store(false, std::memory_order_release);
  // Only the first of a batch wakes: the others will be taken with it. Under the lock, because
  // close() may be followed by the end of the proactor.
  if (functors_.size() == 1) proactor_->wake();
  return true;
}

void Mailbox::take(std::vector<Functor>& batch) {
  if (isEmpty()) return;
  const std::lock_guard lock(mutex_);
  functors_.swap(batch);
  isEmpty_.store(true, std::memory_order_relaxed);
}

void Mailbox::close() {
  const std::lock_guard lock(mutex_);
  proactor_ = nullptr;
}

}  // namespace gyre
