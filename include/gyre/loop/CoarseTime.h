// CoarseTime: a point in time in four bytes, for what is written with every message.
//
// Its unit is 2^20 ns (1.05 ms), it is rounded down, and it repeats after 52 days. Whoever may keep
// one for longer looks at it once in kLongest at least, and renews it when isLagging().
#pragma once

#include <cstdint>

#include "gyre/proactor/Proactor.h"

namespace gyre {

class CoarseTime {
 public:
  // 13 days: half of what age() can tell.
  static constexpr Duration kLongest = Duration(std::int64_t{1} << 50);

  constexpr CoarseTime() noexcept = default;
  explicit constexpr CoarseTime(TimePoint time) noexcept
      : units_(static_cast<std::uint32_t>(time.time_since_epoch().count() >> kShift)) {}

  // How long before `now` it was; zero when it lies after that.
  constexpr Duration age(TimePoint now) const noexcept {
    const auto age = static_cast<std::int32_t>(CoarseTime(now).units_ - units_);
    return age <= 0 ? Duration::zero() : Duration(std::int64_t{age} << kShift);
  }
  // It lies at least kLongest back, or so far ahead that it must have: then it is to be renewed.
  constexpr bool isLagging(TimePoint now) const noexcept {
    const std::uint32_t age = CoarseTime(now).units_ - units_;
    return age - kLagging < ~kFarAhead - kLagging;
  }

 private:
  static constexpr int kShift = 20;
  static constexpr std::uint32_t kFarAhead = 1U << 24;  // 4 hours
  static constexpr std::uint32_t kLagging = 1U << 30;   // kLongest

  std::uint32_t units_ = 0;
};

}  // namespace gyre
