// Backoff: the delays between attempts: growing, with a part left to chance.
#pragma once

#include <chrono>
#include <cstdint>

#include "gyre/client/ConnectOptions.h"

namespace gyre {

class Backoff {
 public:
  // REQUIRES: initial > 0, maximum >= initial or none, factor >= 1, jitter in 0..1.
  explicit Backoff(const BackoffOptions& options);

  // The delay that is due, and from now on the next one is. `random`: any 64 bits.
  // At least a millisecond, and kNever at most.
  Duration next(std::uint64_t random) noexcept;
  void reset() noexcept;

 private:
  const BackoffOptions options_;
  double delay_;  // milliseconds
};

}  // namespace gyre
