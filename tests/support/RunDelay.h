// RunDelay: how long threads were ready to run and did not, because others had the CPU.
//
// The machine that runs the tests may be busy. A test that bounds a time bounds what the library
// takes, so it leaves this out; one that has to act within a time proves nothing where it was held
// up for so long. Zero where the kernel does not say (CONFIG_SCHED_INFO): then all time counts.
#pragma once

#include <sys/types.h>

#include <chrono>

#include "gyre/base/UniqueFd.h"

namespace gyre {

// Of the thread that made it. It opens its file then, for a test that has no descriptor left later.
class RunDelay {
 public:
  RunDelay();

  // Since the thread began.
  std::chrono::nanoseconds get() const;

 private:
  UniqueFd file_;
};

// Of all living threads of a process, together.
std::chrono::nanoseconds runDelayOf(pid_t process);

}  // namespace gyre
