// SimWorld: virtual time, what will happen in it, chance, and the record of what happened.
//
// Thread  The one that steps the network.
// Owns    The events to come. An event may outlive what it is about: it holds what it needs.
#pragma once

#include <cstdint>
#include <vector>

#include "gyre/base/UniqueFunction.h"
#include "gyre/sim/SimFaults.h"
#include "sim/SimRandom.h"
#include "sim/SimTrace.h"

namespace gyre {

class SimWorld {
 public:
  using Action = UniqueFunction<void()>;

  explicit SimWorld(const SimOptions& options);
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  const SimOptions& options() const noexcept { return options_; }
  SimRandom& random() noexcept { return random_; }
  SimTrace& trace() noexcept { return trace_; }
  SimStatistics& statistics() noexcept { return statistics_; }

  // Time
  TimePoint now() const noexcept { return now_; }
  // REQUIRES: not back in time, and not past the next event.
  void advanceTo(TimePoint time);
  // Events of one moment happen in the order in which they were asked for.
  void at(TimePoint time, Action action);
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }
  TimePoint nextEvent() const noexcept { return events_.empty() ? kForever : events_.front().at; }
  // REQUIRES: the next event is due.
  void runNextEvent();

  // Chance
  // Whether a fault of this kind happens now; it is counted.
  bool strikes(SimFault fault);
  // The same without counting: for what may come to nothing.
  bool draws(SimFault fault) { return random_.chance(options_.faults[fault]); }
  void count(SimFault fault);
  // Short ones are as likely as long ones, on a scale of powers of two.
  Duration skewed(Duration longest);
  Duration between(Duration shortest, Duration longest);
  // One way through the network.
  Duration latency();

  void note(const SimNote& note) { trace_.note(now_, note); }

 private:
  struct Event {
    TimePoint at;
    std::uint64_t order;
    Action action;
  };
  static bool isLater(const Event& a, const Event& b) noexcept {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }

  const SimOptions options_;
  SimRandom random_;
  SimTrace trace_;
  SimStatistics statistics_;
  TimePoint now_;
  std::uint64_t order_ = 0;
  std::vector<Event> events_;  // a heap, the next one in front
};

}  // namespace gyre
