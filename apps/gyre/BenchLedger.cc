#include "BenchLedger.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <system_error>

namespace gyre {

namespace {

double threadCpuSeconds() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

void BenchLedger::openWindow(TimePoint now) noexcept {
  isMeasuring_ = true;
  windowOpened_ = now;
  cpuAtOpen_ = threadCpuSeconds();
}

void BenchLedger::closeWindow(TimePoint now) noexcept {
  isMeasuring_ = false;
  windowClosed_ = now;
  tally_.seconds = std::chrono::duration<double>(windowClosed_ - windowOpened_).count();
  tally_.cpuSeconds = threadCpuSeconds() - cpuAtOpen_;
}

double BenchLedger::ratePerSecond() const noexcept {
  return plan_.rate * static_cast<double>(share_.connections) /
         static_cast<double>(plan_.connections);
}

double BenchLedger::phase() const noexcept {
  return static_cast<double>(share_.thread) / static_cast<double>(plan_.threads);
}

TimePoint BenchLedger::slotTime(std::uint64_t slot) const noexcept {
  const double seconds = (static_cast<double>(slot) + phase()) / ratePerSecond();
  return started_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

std::uint64_t BenchLedger::slotsUntil(TimePoint time) const noexcept {
  const double seconds = std::chrono::duration<double>(time - started_).count();
  return static_cast<std::uint64_t>(std::max(0.0, seconds * ratePerSecond() - phase()));
}

// An open loop counts what was due within the window, whenever it came to an end.
void BenchLedger::record(TimePoint started, TimePoint completed) noexcept {
  messagesSoFar_.add();
  const bool counts = plan_.mode == BenchMode::Open
                          ? started >= windowOpened_ && started < windowClosed_
                          : isMeasuring_;
  if (!counts) return;
  ++tally_.messages;
  if (plan_.size != 0) tally_.latency.add(completed - started);
}

void BenchLedger::countFault(BenchFault fault, int error, std::uint64_t times) {
  const auto kind = static_cast<std::size_t>(fault);
  tally_.faults[kind] += times;
  if (!tally_.firstFault.empty()) return;
  tally_.firstFault = kBenchFaultNames[kind];
  if (error != 0) tally_.firstFault += ": " + std::generic_category().message(error);
}

}  // namespace gyre
