// FuzzCoverage: what has happened, over many runs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "gyre/connection/CloseReason.h"

namespace gyre {

inline constexpr std::size_t kCloseReasons = static_cast<std::size_t>(CloseReason::Drained) + 1;

struct FuzzCoverage {
  std::uint64_t runs = 0;
  std::uint64_t connections = 0;
  std::uint64_t bytesReceived = 0;  // by servers
  std::uint64_t bytesSent = 0;
  std::uint64_t cleanEnds = 0;  // as peers saw it
  std::uint64_t resets = 0;
  std::uint64_t turnedAway = 0;
  std::uint64_t probes = 0;
  std::uint64_t restarts = 0;
  std::uint64_t slowest = 0;  // milliseconds of one run
  std::uint64_t slowestSeed = 0;
  std::array<std::uint64_t, kCloseReasons> reasons{};  // by CloseReason

  void noteTime(std::uint64_t milliseconds, std::uint64_t seed) {
    if (milliseconds <= slowest) return;
    slowest = milliseconds;
    slowestSeed = seed;
  }
};

}  // namespace gyre
