#include "base/LogLimit.h"

#include <bit>

namespace gyre {
namespace {

constexpr LogLimit::TimePoint::rep kIntervalTicks =
    LogLimit::TimePoint::duration(LogLimit::kInterval).count();

}  // namespace

// Open addressing; a place once taken stays its kind's.
LogLimit::Kind& LogLimit::find(const char* text) noexcept {
  const auto address = std::bit_cast<std::uintptr_t>(text);
  std::size_t index = (address ^ (address >> 7)) % kKindsMax;
  for (std::size_t tried = 0; tried < kKindsMax; ++tried) {
    Kind& kind = kinds_[index];
    const char* found = kind.text.load();
    if (found == text) return kind;
    if (found == nullptr && (kind.text.compare_exchange_strong(found, text) || found == text)) {
      return kind;
    }
    if (++index == kKindsMax) index = 0;
  }
  return kinds_[index];
}

LogLimit::Answer LogLimit::ask(const char* text, LogLevel level, TimePoint now) noexcept {
  Kind& kind = find(text);
  kind.level.store(level, std::memory_order_relaxed);
  const Ticks ticks = now.time_since_epoch().count();
  Ticks admittedAt = kind.admittedAt.load();
  // Of threads that come at the same time one wins.
  const bool isAdmitted = ticks - admittedAt >= kIntervalTicks &&
                          kind.admittedAt.compare_exchange_strong(admittedAt, ticks);
  if (isAdmitted) return {true, kind.leftOut.exchange(0)};
  kind.leftOut.fetch_add(1);
  return {false, 0};
}

bool LogLimit::reportDue(TimePoint now, Reporter report) noexcept {
  const Ticks ticks = now.time_since_epoch().count();
  bool isPending = false;
  for (Kind& kind : kinds_) {
    if (kind.leftOut.load() == 0) continue;
    Ticks admittedAt = kind.admittedAt.load();
    const bool isDue = ticks - admittedAt >= 2 * kIntervalTicks &&
                       kind.admittedAt.compare_exchange_strong(admittedAt, ticks);
    const std::uint64_t leftOut = isDue ? kind.leftOut.exchange(0) : 0;
    if (leftOut != 0) report({kind.text.load(), kind.level.load(), leftOut});
    isPending |= !isDue;
  }
  return isPending;
}

void LogLimit::reportAll(Reporter report) noexcept {
  for (Kind& kind : kinds_) {
    const std::uint64_t leftOut = kind.leftOut.exchange(0);
    if (leftOut != 0) report({kind.text.load(), kind.level.load(), leftOut});
  }
}

void LogLimit::forget() noexcept {
  for (Kind& kind : kinds_) {
    kind.leftOut.store(0);
    kind.admittedAt.store(kLongAgo);
  }
}

}  // namespace gyre
