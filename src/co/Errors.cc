#include "gyre/co/Errors.h"

namespace gyre::co {

Cancelled::~Cancelled() = default;
const char* Cancelled::what() const noexcept { return "the task was cancelled"; }

TimedOut::~TimedOut() = default;
const char* TimedOut::what() const noexcept { return "the time limit was reached"; }

LoopEnded::~LoopEnded() = default;
const char* LoopEnded::what() const noexcept { return "the loop has ended"; }

bool isCancelled(const std::exception_ptr& error) noexcept {
  if (error == nullptr) return false;
  try {
    std::rethrow_exception(error);
  } catch (const Cancelled&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace gyre::co
