#include "gyre/loop/Mailbox.h"

#include "gyre/proactor/Proactor.h"

namespace gyre {

bool Mailbox::post(Functor functor) {
  const std::lock_guard lock(mutex_);
  if (proactor_ == nullptr) return false;
  functors_.push_back(std::move(functor));
  // Only the first of a batch wakes: the others will be taken with it. Under the lock, because
  // close() may be followed by the end of the proactor.
  if (functors_.size() == 1) proactor_->wake();
  return true;
}

void Mailbox::take(std::vector<Functor>& batch) {
  const std::lock_guard lock(mutex_);
  functors_.swap(batch);
}

bool Mailbox::isEmpty() const {
  const std::lock_guard lock(mutex_);
  return functors_.empty();
}

void Mailbox::close() {
  const std::lock_guard lock(mutex_);
  proactor_ = nullptr;
}

}  // namespace gyre
