#include "gyre/loop/Mailbox.h"

#include <utility>

#include "gyre/base/Check.h"
#include "gyre/proactor/Proactor.h"

namespace gyre {

bool Mailbox::post(Functor&& functor) {
  const std::lock_guard lock(mutex_);
  if (proactor_ == nullptr) return false;
  functors_.push_back(std::move(functor));
  if (isEmpty_.load(std::memory_order_relaxed)) noteFirst();
  return true;
}

bool Mailbox::post(LoopCall& call) noexcept {
  const std::lock_guard lock(mutex_);
  if (proactor_ == nullptr) return false;
  GYRE_CHECK(call.home_ == nullptr || call.home_ == this, "a LoopCall has one mailbox");
  call.home_ = this;
  // acq_rel with the exchange before it runs: that run sees what was done before this post.
  if (call.isPosted_.exchange(true, std::memory_order_acq_rel)) return true;
  call.place_ = functors_.size();
  (lastCall_ == nullptr ? firstCall_ : lastCall_->next_) = RefPtr<LoopCall>(&call);
  lastCall_ = &call;
  if (isEmpty_.load(std::memory_order_relaxed)) noteFirst();
  return true;
}

// Only the first of a batch wakes: the others will be taken with it. Under the lock, because
// close() may be followed by the end of the proactor.
void Mailbox::noteFirst() noexcept {
  isEmpty_.store(false, std::memory_order_release);
  proactor_->wake();
}

RefPtr<LoopCall> Mailbox::take(std::vector<Functor>& functors) noexcept {
  if (isEmpty()) return {};
  const std::lock_guard lock(mutex_);
  functors_.swap(functors);
  isEmpty_.store(true, std::memory_order_relaxed);
  lastCall_ = nullptr;
  return std::move(firstCall_);
}

void Mailbox::close() {
  const std::lock_guard lock(mutex_);
  proactor_ = nullptr;
  hasEnded_.store(true, std::memory_order_release);
}

}  // namespace gyre
