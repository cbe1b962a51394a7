#include "client/Backoff.h"

#include <algorithm>
#include <cmath>

#include "gyre/base/Check.h"

namespace gyre {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

}  // namespace

Backoff::Backoff(const BackoffOptions& options) : options_(options) {
  GYRE_CHECK(options.initial > Duration::zero() && options.maximum.limit() >= options.initial,
             "a back-off grows from above zero to its maximum");
  GYRE_CHECK(options.factor >= 1, "a back-off does not shrink");
  GYRE_CHECK(options.jitter >= 0 && options.jitter <= 1, "jitter is a part of the delay");
  reset();
}

Duration Backoff::next(std::uint64_t random) noexcept {
  const double chance = static_cast<double>(random >> 11) * 0x1p-53;  // 0 to just below 1
  const double delay = delay_ * (1 - options_.jitter * chance);
  delay_ = std::min(delay_ * options_.factor, Milliseconds(options_.maximum.limit()).count());
  return std::max<Duration>(std::chrono::milliseconds(1),
                            saturate(Milliseconds(std::floor(delay))));
}

void Backoff::reset() noexcept { delay_ = Milliseconds(Duration(options_.initial)).count(); }

}  // namespace gyre
