// UnprivilegedChild: gives up what root may do, so that limits bind this process.
#pragma once

#include <grp.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

namespace gyre {

inline constexpr uid_t kNobody = 65534;

// To be called in a child process. Limits are per user, so each caller names one of its own.
inline bool becomeUnprivileged(uid_t user) {
  if (::geteuid() != 0) return true;
  return ::setgroups(0, nullptr) == 0 && ::setgid(user) == 0 && ::setuid(user) == 0;
}

inline bool limitLockedMemory(rlim_t bytes) {
  const rlimit limit{bytes, bytes};
  return ::setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
}

}  // namespace gyre
