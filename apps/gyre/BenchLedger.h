// BenchLedger: what the connections of one thread share: plan, payload, schedule, and what they
// count.
//
// Thread  The loop of the worker; messagesSoFar() any.
// Borrows The plan and the payload.
#pragma once

#include <cstddef>
#include <cstdint>

#include "BenchPlan.h"
#include "BenchTally.h"
#include "gyre/proactor/Proactor.h"

namespace gyre {

// One of the threads: the first `connections` numbers from `firstConnection` on are its own.
struct BenchShare {
  std::size_t thread = 0;
  std::size_t firstConnection = 0;
  std::size_t connections = 0;
  Counter* published = nullptr;  // counts the messages where others can read it
};

class BenchLedger {
 public:
  BenchLedger(const BenchPlan& plan, const BenchPayload& payload, BenchShare share)
      : plan_(plan),
        payload_(payload),
        share_(share),
        messagesSoFar_(share.published != nullptr ? *share.published : unpublished_) {}

  const BenchPlan& plan() const noexcept { return plan_; }
  const BenchPayload& payload() const noexcept { return payload_; }
  const BenchShare& share() const noexcept { return share_; }
  BenchTally& tally() noexcept { return tally_; }
  const BenchTally& tally() const noexcept { return tally_; }
  // For a progress line.
  std::uint64_t messagesSoFar() const noexcept { return messagesSoFar_.get(); }

  void start(TimePoint now) noexcept { started_ = now; }
  void openWindow(TimePoint now) noexcept;
  void closeWindow(TimePoint now) noexcept;
  bool isMeasuring() const noexcept { return isMeasuring_; }

  // Open loop: when a message is due. The slots are the messages of all connections, in turn.
  TimePoint slotTime(std::uint64_t slot) const noexcept;
  // How many slots are due by then.
  std::uint64_t slotsUntil(TimePoint time) const noexcept;
  TimePoint dueTime(std::size_t connection, std::uint64_t message) const noexcept {
    return slotTime(message * share_.connections + connection);
  }

  // A message is complete.
  void record(TimePoint started, TimePoint completed) noexcept;
  void countFault(BenchFault fault, int error, std::uint64_t times);

 private:
  double ratePerSecond() const noexcept;
  // The threads take turns: by which part of a slot this one is late.
  double phase() const noexcept;

  const BenchPlan& plan_;
  const BenchPayload& payload_;
  const BenchShare share_;
  BenchTally tally_;
  Counter unpublished_;
  Counter& messagesSoFar_;
  bool isMeasuring_ = false;
  TimePoint started_{};
  TimePoint windowOpened_ = kForever;
  TimePoint windowClosed_ = kForever;
  double cpuAtOpen_ = 0;
};

}  // namespace gyre
