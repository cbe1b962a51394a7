#include "gyre/loop/ChildSignals.h"

#include <atomic>
#include <cstdint>

#include "loop/BlockedSignals.h"

namespace gyre {
namespace {

constexpr int kSignals = 64;

// One bit per signal. Never cleared: the signals stay blocked when their watcher has ended.
std::atomic<std::uint64_t> blockedByWatchers{0};

constexpr std::uint64_t bitOf(int number) { return std::uint64_t{1} << (number - 1); }

}  // namespace

void noteBlockedSignals(const sigset_t& blocked, const sigset_t& before) noexcept {
  std::uint64_t bits = 0;
  for (int number = 1; number <= kSignals; ++number) {
    const bool isNew = ::sigismember(&blocked, number) == 1 && ::sigismember(&before, number) == 0;
    if (isNew) bits |= bitOf(number);
  }
  blockedByWatchers.fetch_or(bits, std::memory_order_relaxed);
}

sigset_t childSignalMask() noexcept {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  const std::uint64_t bits = blockedByWatchers.load(std::memory_order_relaxed);
  for (int number = 1; number <= kSignals; ++number) {
    if ((bits & bitOf(number)) != 0) ::sigdelset(&mask, number);
  }
  return mask;
}

void restoreSignalsInChild() noexcept {
  const sigset_t mask = childSignalMask();
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}

}  // namespace gyre
