#include "net/Backoff.h"

#include <algorithm>

#include "gyre/base/Check.h"

namespace gyre {

Backoff::Backoff(const BackoffOptions& options) : options_(options) {
  GYRE_CHECK(options.initial.count() > 0 && options.maximum >= options.initial,
             "a back-off grows from above zero to its maximum");
  GYRE_CHECK(options.factor >= 1, "a back-off does not shrink");
  GYRE_CHECK(options.jitter >= 0 && options.jitter <= 1, "jitter is a part of the delay");
  reset();
}

std::chrono::milliseconds Backoff::next(std::uint64_t random) noexcept {
  const double chance = static_cast<double>(random >> 11) * 0x1p-53;  // 0 to just below 1
  const double delay = delay_ * (1 - options_.jitter * chance);
  delay_ = std::min(delay_ * options_.factor, static_cast<double>(options_.maximum.count()));
  return std::chrono::milliseconds(std::max<std::int64_t>(1, static_cast<std::int64_t>(delay)));
}

void Backoff::reset() noexcept { delay_ = static_cast<double>(options_.initial.count()); }

}  // namespace gyre
