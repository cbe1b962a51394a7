// FuzzCoverage: what has happened, over many runs.
#pragma once

#include <array>
#include <cstdint>

namespace gyre {

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
  std::array<std::uint64_t, 13> reasons{};  // by CloseReason
};

}  // namespace gyre
