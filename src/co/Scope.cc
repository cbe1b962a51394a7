#include "gyre/co/Scope.h"

#include <utility>

namespace gyre::co {

void Scope::spawn(Task<> task) noexcept {
  const Task<>::Frame frame = task.frame();
  task.release();
  ++running_;
  frame.promise().startFor(*this, scheduler_, frame, stop_);
  scheduler_.schedule(frame.promise());
}

// What was cancelled on purpose is no error.
void Scope::fail(const std::exception_ptr& error) noexcept {
  if (stop_.isRequested() && isCancelled(error)) return;
  if (error_ == nullptr) error_ = error;
  stop_.request();
}

std::coroutine_handle<> Scope::taskEnded(Promise& promise) noexcept {
  if (promise.error() != nullptr) fail(promise.error());
  scheduler_.destroyLater(promise);
  --running_;
  if (running_ != 0 || waiting_ == nullptr) return std::noop_coroutine();
  return std::exchange(waiting_, nullptr);
}

}  // namespace gyre::co
