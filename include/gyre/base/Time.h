// Time: points in time, spans, and the one conversion between units, which saturates.
//
// Every option and parameter of gyre that is a span of time is a TimeSpan: it takes any unit of
// std::chrono and cannot overflow. Where the option is a limit, one rule holds everywhere: zero or
// less means that there is no limit, and so do milliseconds::max() and all that is longer than
// kLongestSpan.
#pragma once

#include <chrono>
#include <compare>
#include <type_traits>

#include "gyre/base/Export.h"

namespace gyre {

// The monotonic clock of an engine; virtual time in a simulation.
using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

inline constexpr TimePoint kNoWait = TimePoint::min();
inline constexpr TimePoint kForever = TimePoint::max();
inline constexpr Duration kNever = Duration::max();
// 290 years. What is longer counts as kNever: the clock's unit of a nanosecond ends at 292.
inline constexpr std::chrono::hours kLongestSpan{24 * 365 * 290};

// kNever (or Duration::min() for a negative span) where the clock's unit cannot hold the span. Not
// a number is zero.
template <typename Rep, typename Period>
constexpr Duration saturate(std::chrono::duration<Rep, Period> span) noexcept {
  if constexpr (std::is_same_v<std::chrono::duration<Rep, Period>, Duration>) return span;
  using Seconds = std::chrono::duration<double>;
  const double seconds = Seconds(span).count();
  constexpr double kMost = Seconds(kLongestSpan).count();
  if (seconds > kMost) return kNever;
  if (seconds < -kMost) return Duration::min();
  if (seconds != seconds) return Duration::zero();
  return std::chrono::duration_cast<Duration>(span);
}

// kForever where the clock does not go that far.
constexpr TimePoint addSaturated(TimePoint time, Duration span) noexcept {
  if (span == kNever) return kForever;
  const Duration since = time.time_since_epoch();
  if (span > Duration::zero() && since > kNever - span) return kForever;
  if (span < Duration::zero() && since < Duration::min() - span) return kNoWait;
  return time + span;
}

class TimeSpan {
 public:
  constexpr TimeSpan() noexcept = default;
  template <typename Rep, typename Period>
  constexpr TimeSpan(std::chrono::duration<Rep, Period> span) noexcept : span_(saturate(span)) {}

  constexpr operator Duration() const noexcept { return span_; }
  // Read as a limit: kNever when there is none.
  constexpr Duration limit() const noexcept { return span_ <= Duration::zero() ? kNever : span_; }
  // Rounded down to whole milliseconds.
  constexpr std::chrono::milliseconds milliseconds() const noexcept {
    return std::chrono::duration_cast<std::chrono::milliseconds>(span_);
  }

  friend constexpr bool operator==(TimeSpan a, TimeSpan b) noexcept {
    return a.span_.count() == b.span_.count();
  }
  friend constexpr auto operator<=>(TimeSpan a, TimeSpan b) noexcept {
    return a.span_.count() <=> b.span_.count();
  }

 private:
  Duration span_{};
};

}  // namespace gyre
