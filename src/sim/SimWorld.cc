#include "sim/SimWorld.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace gyre {
namespace {

constexpr TimePoint kBeginning{std::chrono::seconds(1000)};

}  // namespace

SimWorld::SimWorld(const SimOptions& options)
    : options_(options), random_(options.seed), now_(kBeginning) {
  trace_.fold(options.seed);
}

void SimWorld::advanceTo(TimePoint time) {
  GYRE_CHECK(time >= now_ && time <= nextEvent(), "time goes on, from one event to the next");
  now_ = time;
}

void SimWorld::at(TimePoint time, Action action) {
  events_.push_back({std::max(time, now_), order_++, std::move(action)});
  std::push_heap(events_.begin(), events_.end(), isLater);
}

void SimWorld::runNextEvent() {
  GYRE_CHECK(nextEvent() <= now_, "an event happens at its time");
  std::pop_heap(events_.begin(), events_.end(), isLater);
  Action action = std::move(events_.back().action);
  events_.pop_back();
  action();
}

bool SimWorld::strikes(SimFault fault) {
  if (!draws(fault)) return false;
  count(fault);
  return true;
}

void SimWorld::count(SimFault fault) {
  ++statistics_.faults[static_cast<std::size_t>(fault)];
  note({.who = "fault", .what = simFaultName(fault)});
}

Duration SimWorld::skewed(Duration longest) {
  const auto limit = static_cast<std::uint64_t>(std::max<Duration::rep>(longest.count(), 1));
  const auto bits = random_.below(static_cast<std::uint64_t>(std::bit_width(limit)));
  return Duration(static_cast<Duration::rep>(random_.below((limit >> bits) + 1)));
}

Duration SimWorld::between(Duration shortest, Duration longest) {
  return Duration(static_cast<Duration::rep>(random_.between(
      static_cast<std::uint64_t>(shortest.count()), static_cast<std::uint64_t>(longest.count()))));
}

Duration SimWorld::latency() {
  Duration latency = between(options_.latencyMin, options_.latencyMax);
  if (strikes(SimFault::SegmentDelayed)) latency += skewed(std::chrono::milliseconds(50));
  return latency;
}

}  // namespace gyre
