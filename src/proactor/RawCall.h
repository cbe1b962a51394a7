// RawCall: a system call without the C library's wrapper.
//
// Its code and errno are two more places that are cold after each sleep of a loop.
#pragma once

#if !defined(__x86_64__)
#include <unistd.h>

#include <cerrno>
#endif

namespace gyre {

// Returns what the kernel returns: a failure as -errno. errno means nothing afterwards.
inline long rawCall(long number, long a, long b, long c, long d, long e, long f) noexcept {
#if defined(__x86_64__)
  long result = number;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#else
  const long result = ::syscall(number, a, b, c, d, e, f);
  return result < 0 ? -errno : result;
#endif
}

}  // namespace gyre
