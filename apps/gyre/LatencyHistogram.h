// LatencyHistogram: counts durations in log-linear steps, each within 1.6 % of the truth.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace gyre {

// 64 steps for each power of two of nanoseconds. Adding is one increment; it never allocates.
class LatencyHistogram {
 public:
  using Nanos = std::chrono::nanoseconds;

  void add(Nanos latency) noexcept {
    const auto nanos = static_cast<std::uint64_t>(std::max<Nanos::rep>(latency.count(), 0));
    ++counts_[indexOf(nanos)];
    ++total_;
    sum_ += static_cast<double>(nanos);
    smallest_ = std::min(smallest_, nanos);
    largest_ = std::max(largest_, nanos);
  }

  void add(const LatencyHistogram& other) noexcept {
    for (std::size_t i = 0; i < kEntries; ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
    sum_ += other.sum_;
    smallest_ = std::min(smallest_, other.smallest_);
    largest_ = std::max(largest_, other.largest_);
  }

  std::uint64_t count() const noexcept { return total_; }
  double minMicros() const noexcept { return total_ == 0 ? 0 : micros(smallest_); }
  double maxMicros() const noexcept { return micros(largest_); }
  double meanMicros() const noexcept {
    return total_ == 0 ? 0 : sum_ / static_cast<double>(total_) / 1000;
  }

  // The smallest step below which a share of at least `quantile` lies, 0..1; 0 when empty.
  double quantileMicros(double quantile) const noexcept {
    const auto rank = static_cast<std::uint64_t>(quantile * static_cast<double>(total_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kEntries; ++i) {
      seen += counts_[i];
      if (seen > rank) return micros(std::clamp(middleOf(i), smallest_, largest_));
    }
    return maxMicros();
  }

 private:
  static constexpr std::uint64_t kSteps = 64;
  static constexpr std::size_t kEntries = kSteps * 40;  // up to 2^45 ns: ten hours

  static double micros(std::uint64_t nanos) noexcept { return static_cast<double>(nanos) / 1000; }

  static std::size_t indexOf(std::uint64_t value) noexcept {
    if (value < kSteps) return value;
    const auto shift = static_cast<std::uint64_t>(std::bit_width(value)) - 7;
    return std::min<std::size_t>(shift * kSteps + (value >> shift), kEntries - 1);
  }
  static std::uint64_t middleOf(std::size_t index) noexcept {
    if (index < 2 * kSteps) return index;
    const std::size_t shift = index / kSteps - 1;
    const std::uint64_t low = (index % kSteps + kSteps) << shift;
    return low + ((std::uint64_t{1} << shift) >> 1);
  }

  std::array<std::uint64_t, kEntries> counts_{};
  std::uint64_t total_ = 0;
  double sum_ = 0;
  std::uint64_t smallest_ = UINT64_MAX;
  std::uint64_t largest_ = 0;
};

}  // namespace gyre
