// TimerId: names a timer, for cancelling it.
#pragma once

#include <cstdint>

#include "gyre/base/Export.h"

namespace gyre {

class TimerId {
 public:
  constexpr TimerId() noexcept = default;
  explicit constexpr TimerId(std::uint64_t value) noexcept : value_(value) {}

  constexpr bool isValid() const noexcept { return value_ != 0; }
  constexpr std::uint64_t value() const noexcept { return value_; }
  friend constexpr bool operator==(TimerId, TimerId) noexcept = default;

 private:
  std::uint64_t value_ = 0;
};

}  // namespace gyre
