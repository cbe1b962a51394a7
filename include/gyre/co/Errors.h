// Errors: what ends a wait of a coroutine that does not end with a result.
#pragma once

#include <exception>

#include "gyre/base/Export.h"

namespace gyre::co {

// The task was cancelled. Let it pass: it unwinds the task, and whoever cancelled expects it.
class GYRE_API Cancelled : public std::exception {
 public:
  ~Cancelled() override;
  const char* what() const noexcept override;
};

// withTimeout(): the time was over first.
class GYRE_API TimedOut : public std::exception {
 public:
  ~TimedOut() override;
  const char* what() const noexcept override;
};

// The loop that was to run a task has ended.
class GYRE_API LoopEnded : public std::exception {
 public:
  ~LoopEnded() override;
  const char* what() const noexcept override;
};

// True for a Cancelled.
GYRE_API bool isCancelled(const std::exception_ptr& error) noexcept;

}  // namespace gyre::co
