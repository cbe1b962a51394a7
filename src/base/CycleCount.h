// CycleCount: the processor's own counter, for how much of a span something took.
//
// Reading it touches no memory. A clock of the kernel costs six times as much after a sleep, when
// its page, the C library and the code between them have left the caches; and a loop that serves
// one request at a time sleeps before each.
//
// Thread  Any; the counts of two processors may differ, so a difference can be negative. A count
//         means nothing by itself: it is a share of a span that a clock has measured at both ends.
#pragma once

#include <cstdint>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <time.h>
#endif

namespace gyre {

#if defined(__x86_64__)
inline std::uint64_t cycleCount() noexcept { return __builtin_ia32_rdtsc(); }
// Fewer last less than a millisecond, and more than some microseconds.
inline constexpr std::int64_t kFewCycles = 1 << 20;
#elif defined(__aarch64__)
inline std::uint64_t cycleCount() noexcept {
  std::uint64_t count;
  asm volatile("mrs %0, cntvct_el0" : "=r"(count));
  return count;
}
inline constexpr std::int64_t kFewCycles = 1 << 14;
#else
inline std::uint64_t cycleCount() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}
inline constexpr std::int64_t kFewCycles = 1'000'000;
#endif

}  // namespace gyre
