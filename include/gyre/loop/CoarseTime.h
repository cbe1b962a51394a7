// CoarseTime: a point in time in four bytes, for what is written with every message.
//
// Its unit is 2^20 ns (1.05 ms), it is rounded down, and it repeats after 52 days: compare times
// that lie closer together.
#pragma once

#include <cstdint>

#include "gyre/proactor/Proactor.h"

namespace gyre {

class CoarseTime {
 public:
  constexpr CoarseTime() noexcept = default;
  explicit constexpr CoarseTime(TimePoint time) noexcept
      : units_(static_cast<std::uint32_t>(time.time_since_epoch().count() >> kShift)) {}

  // How long before `now` it was; zero when it lies after that.
  constexpr Duration age(TimePoint now) const noexcept {
    const auto age = static_cast<std::int32_t>(CoarseTime(now).units_ - units_);
    return age <= 0 ? Duration::zero() : Duration(std::int64_t{age} << kShift);
  }

 private:
  static constexpr int kShift = 20;

  std::uint32_t units_ = 0;
};

}  // namespace gyre
