#include "Wheel.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "loop/TimingWheel.h"

namespace micro {

namespace {

constexpr gyre::TimePoint kStart{std::chrono::hours(1000)};
constexpr std::chrono::milliseconds kTick{100};
// In which all are due: less than a turn of the wheel.
constexpr std::chrono::seconds kSpan{100};
// As many operations for each size, so that small wheels are not over in a moment.
constexpr std::size_t kOperations = 2'000'000;

class Sleeper : public gyre::LoopResident {
 public:
  void beginClose() noexcept override {}
  gyre::TimePoint checkTimeouts(gyre::TimePoint) noexcept override {
    ++asked;
    return gyre::kForever;
  }

  std::uint32_t asked = 0;
};

struct WheelCosts {
  double insert = 0;
  double move = 0;
  double expire = 0;
};

// In the order of the entries memory is read in a row, and the cost is that of the steps alone; at
// random each step of a large wheel also waits for memory.
enum class Order : std::uint8_t { InOrder, AtRandom };

std::vector<gyre::TimePoint> dueTimes(std::size_t size, Order order) {
  std::vector<gyre::TimePoint> due;
  due.reserve(size);
  const gyre::Duration step = gyre::Duration(kSpan) / static_cast<std::int64_t>(size);
  for (std::size_t i = 0; i < size; ++i) {
    due.push_back(kStart + step * static_cast<std::int64_t>(i));
  }
  std::mt19937 random(1);
  if (order == Order::AtRandom) std::shuffle(due.begin(), due.end(), random);
  return due;
}

// One wheel: all entries come, are moved, and expire. In nanoseconds altogether.
WheelCosts runWheel(std::deque<Sleeper>& sleepers, const std::vector<gyre::TimePoint>& due) {
  gyre::TimingWheel wheel(kStart, kTick);
  std::vector<gyre::TimingWheel::Entry> entries;
  entries.reserve(sleepers.size());
  WheelCosts costs;
  auto start = Clock::now();
  for (std::size_t i = 0; i < due.size(); ++i) {
    entries.push_back(wheel.add(sleepers[i], due[i], kStart));
  }
  costs.insert = nanosSince(start);
  start = Clock::now();
  for (std::size_t i = 0; i < due.size(); ++i) wheel.move(entries[i], due[i] + kTick);
  costs.move = nanosSince(start);
  start = Clock::now();
  const gyre::TimePoint end = kStart + kSpan + 3 * kTick;
  for (gyre::TimePoint now = kStart; now <= end; now += kTick) wheel.advance(now);
  costs.expire = nanosSince(start);
  return costs;
}

// The best of a few rounds, each with kOperations of every kind.
WheelCosts wheelCosts(std::size_t size, Order order) {
  std::deque<Sleeper> sleepers(size);
  const std::vector<gyre::TimePoint> due = dueTimes(size, order);
  const std::size_t wheels = kOperations / size;
  const auto operations = static_cast<double>(wheels * size);
  WheelCosts best{1e9, 1e9, 1e9};
  std::uint64_t expected = 0;
  for (int run = 0; run < kRuns; ++run) {
    WheelCosts sum;
    for (std::size_t i = 0; i < wheels; ++i, ++expected) {
      const WheelCosts costs = runWheel(sleepers, due);
      sum.insert += costs.insert;
      sum.move += costs.move;
      sum.expire += costs.expire;
    }
    best.insert = std::min(best.insert, sum.insert / operations);
    best.move = std::min(best.move, sum.move / operations);
    best.expire = std::min(best.expire, sum.expire / operations);
  }
  for (const Sleeper& sleeper : sleepers) {
    if (sleeper.asked == expected) continue;
    std::fprintf(stderr, "the wheel did not ask every entry once\n");
    std::exit(1);
  }
  return best;
}

}  // namespace

void addWheelCosts(Report& report) {
  for (const Order order : {Order::InOrder, Order::AtRandom}) {
    const std::string head = order == Order::InOrder ? "wheel, in order: " : "wheel, at random: ";
    for (const std::size_t size : {10'000UL, 100'000UL, 1'000'000UL}) {
      const WheelCosts costs = wheelCosts(size, order);
      const std::string of = ", of " + std::to_string(size);
      report.add(head + "inserted" + of, costs.insert);
      report.add(head + "moved" + of, costs.move);
      report.add(head + "expired" + of, costs.expire);
    }
  }
}

}  // namespace micro
