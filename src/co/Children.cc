#include "gyre/co/Children.h"

namespace gyre::co {

void Children::begin(std::coroutine_handle<> parent, Promise& promise) noexcept {
  parent_ = parent;
  scope_.emplace(&promise.scope());
  running_ = 1;
}

// Runs it up to its first wait.
void Children::start(Promise& child, std::coroutine_handle<> frame, Scheduler& scheduler) noexcept {
  ++running_;
  child.startFor(*this, scheduler, frame, *scope_);
  scheduler.run(frame);
}

std::coroutine_handle<> Children::oneLess() noexcept {
  return --running_ == 0 ? parent_ : std::noop_coroutine();
}

std::coroutine_handle<> Children::taskEnded(Promise& promise) noexcept {
  const bool isFirst = first_ == nullptr;
  if (isFirst) first_ = &promise;
  const bool hasFailed = promise.error() != nullptr;
  if (hasFailed && error_ == nullptr) error_ = promise.error();
  if (stopOn_ == StopOn::FirstEnd ? isFirst : hasFailed) scope_->request();
  return oneLess();
}

}  // namespace gyre::co
