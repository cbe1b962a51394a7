// MemoryBudget: the bytes that the connections of one server hold, against what they may.
//
// Thread  Any. The numbers of one moment may be a step apart.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace gyre {

class MemoryBudget {
 public:
  // What a connection holds is counted in these, so that small messages cost nothing.
  static constexpr std::size_t kUnit = 4096;
  static constexpr std::size_t kUnitsMax = 0xffffffff;  // of one connection: 16 TiB

  enum class Pressure : std::uint8_t { None, Pause, Refuse, Shed };

  // Before the first connection; 0: no limit.
  void setLimit(std::size_t bytes) noexcept { limit_ = bytes; }
  std::size_t limit() const noexcept { return limit_; }
  std::size_t held() const noexcept { return bytesOf(units_.load(std::memory_order_relaxed)); }

  static std::uint32_t unitsOf(std::size_t bytes) noexcept {
    return static_cast<std::uint32_t>(std::min(bytes / kUnit, kUnitsMax));
  }
  void add(std::int64_t units) noexcept { units_.fetch_add(units, std::memory_order_relaxed); }
  // Of what is held, this will be given back as soon as the kernel lets go of it.
  void addLeaving(std::int64_t units) noexcept {
    leaving_.fetch_add(units, std::memory_order_relaxed);
  }

  // By what will be held when all that is leaving has left, so that nobody is aborted in vain.
  Pressure pressure() const noexcept {
    if (limit_ == 0) return Pressure::None;
    const std::size_t bytes =
        bytesOf(units_.load(std::memory_order_relaxed) - leaving_.load(std::memory_order_relaxed));
    if (bytes >= limit_ - limit_ / 8) return Pressure::Shed;
    if (bytes >= limit_ - limit_ / 4) return Pressure::Refuse;
    return bytes >= limit_ / 2 ? Pressure::Pause : Pressure::None;
  }
  bool isUsedUp() const noexcept { return limit_ != 0 && held() >= limit_; }
  // When all hold the same, and together so much that pausing begins, each holds this much.
  std::size_t fairUnits(std::size_t connections) const noexcept {
    return limit_ / 2 / kUnit / std::max<std::size_t>(connections, 1);
  }

  std::atomic<std::uint64_t> paused{0};  // connections, each time
  std::atomic<std::uint64_t> shed{0};

 private:
  static std::size_t bytesOf(std::int64_t units) noexcept {
    return units <= 0 ? 0 : static_cast<std::size_t>(units) * kUnit;
  }

  std::size_t limit_ = 0;
  std::atomic<std::int64_t> units_{0};
  std::atomic<std::int64_t> leaving_{0};
};

}  // namespace gyre
