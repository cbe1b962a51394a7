// Measured: a clock, the best of a few runs, and the line of JSON that a micro program prints.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace micro {

using Clock = std::chrono::steady_clock;

inline constexpr int kRuns = 3;
inline constexpr std::uint64_t kFunctors = 2'000'000;
inline constexpr std::size_t kTimers = 1'000'000;

// What each program measures under the same name can be compared.
inline constexpr const char* kOneProducer = "functor from one other thread";
inline constexpr const char* kTwoProducers = "functor from two other threads";
inline constexpr const char* kTimerAdded = "timer added, of a million";
inline constexpr const char* kTimerMoved = "timer put off, of a million";
inline constexpr const char* kTimerCancelled = "timer cancelled, of a million";
inline constexpr const char* kTimerRun = "timer run, of a million that are due";

inline double nanosSince(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

template <typename Run>
double bestOf(Run run) {
  double best = run();
  for (int i = 1; i < kRuns; ++i) best = std::min(best, run());
  return best;
}

// In nanoseconds each.
struct TimerCosts {
  double add = 0;
  double move = 0;
  double cancel = 0;
  double run = 0;
};

template <typename Run>
TimerCosts bestTimers(Run run) {
  TimerCosts best = run();
  for (int i = 1; i < kRuns; ++i) {
    const TimerCosts costs = run();
    best.add = std::min(best.add, costs.add);
    best.move = std::min(best.move, costs.move);
    best.cancel = std::min(best.cancel, costs.cancel);
    best.run = std::min(best.run, costs.run);
  }
  return best;
}

// Seconds until a timer is due, in no order, a minute from now: none runs while others are added.
class Delays {
 public:
  std::chrono::nanoseconds next() {
    random_ = random_ * 1664525 + 1013904223;
    return std::chrono::seconds(60) + std::chrono::nanoseconds(random_ % 1'000'000'000);
  }

 private:
  std::uint32_t random_ = 1;
};

class Report {
 public:
  void add(const std::string& what, double nanos) { results_.emplace_back(what, nanos); }

  void add(const TimerCosts& costs) {
    add(kTimerAdded, costs.add);
    if (costs.move > 0) add(kTimerMoved, costs.move);
    add(kTimerCancelled, costs.cancel);
    add(kTimerRun, costs.run);
  }

  void print(const char* name) const {
    std::printf("{\"name\":\"%s\",\"results\":[", name);
    for (std::size_t i = 0; i < results_.size(); ++i) {
      std::printf("%s{\"what\":\"%s\",\"nanoseconds\":%.3f}", i == 0 ? "" : ",",
                  results_[i].first.c_str(), results_[i].second);
    }
    std::printf("]}\n");
  }

 private:
  std::vector<std::pair<std::string, double>> results_;
};

}  // namespace micro
