// SimRandom: the one source of chance in a simulation, the same on every machine (SplitMix64).
#pragma once

#include <cstdint>

#include "gyre/base/Check.h"

namespace gyre {

class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }
  // 0 .. n - 1. The bias is below 2^-32 for every n in use here.
  // REQUIRES: n > 0.
  std::uint64_t below(std::uint64_t n) noexcept {
    GYRE_CHECK(n > 0, "below: n > 0");
    return next() % n;
  }
  // lowest .. highest, both included.
  std::uint64_t between(std::uint64_t lowest, std::uint64_t highest) noexcept {
    return lowest >= highest ? lowest : lowest + below(highest - lowest + 1);
  }
  // Nothing is drawn for what never happens, so that an unused fault changes no history.
  bool chance(double probability) noexcept {
    if (probability <= 0) return false;
    return static_cast<double>(next() >> 11) < probability * 0x1p53;
  }

 private:
  std::uint64_t state_;
};

}  // namespace gyre
