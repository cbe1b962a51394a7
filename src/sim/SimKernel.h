// SimKernel: what the kernel does with the operations of one engine, and what is armed again.
//
// Thread  The engine's.
// Owns    The receive buffers, and the completions that were not delivered yet.
// Borrows Every operation until its terminal completion is taken.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gyre/proactor/LoopCounters.h"
#include "sim/SimCompletions.h"
#include "sim/SimLender.h"
#include "sim/SimOperation.h"

namespace gyre {

class SimKernel final : public SimSocketUser {
 public:
  SimKernel(SimWorld& world, SimTcp& tcp, LoopCounters& counters, std::string name);

  // The engine submits.
  void submit(SimOperation& operation);
  void submitCancel(SimOperation& operation);
  // Looks at cancels whose time has come, and arms again what can be.
  void takeUpAgain();

  // Something to take up again, or to deliver.
  bool hasWork() const;
  // Of what had come by now, something was not delivered.
  bool isBehind() const {
    return !starved_.empty() || !interrupted_.empty() || completions_.dueCount() > 0;
  }
  // When there will be, as far as is known.
  TimePoint nextTime() const;
  SimCompletions& completions() noexcept { return completions_; }
  SimLender& lender() noexcept { return lender_; }
  // The operation is delivered and gone.
  void forget(SimOperation& operation);

  void socketChanged(SimSocket& socket) override;

 private:
  void advance(SimOperation& operation);
  void advanceAccept(SimOperation& operation);
  void advanceReceive(SimOperation& operation);
  void advanceReceiveInto(SimOperation& operation);
  void advanceSend(SimOperation& operation);
  void advanceConnect(SimOperation& operation);
  void advancePoll(SimOperation& operation);
  void advanceRead(SimOperation& operation);

  void beginConnect(SimOperation& operation);
  void acceptOne(SimOperation& operation);
  void receiveSome(SimOperation& operation, std::size_t readable);
  bool isAborted(SimLink& link);
  std::size_t splitReceive(SimOperation& operation, std::size_t size);
  // True when the completion queue takes no more of a stream, which then ends and is taken up
  // again.
  bool overflows(SimOperation& operation);
  void pauseAccept(SimOperation& operation, int error);
  // Ends what the kernel ended for no fault of the peer: armed again unless a cancel was asked for.
  void interrupt(SimOperation& operation, std::vector<SimOperation*>& queue);
  void resume(SimOperation& operation);
  void resumeAll(std::vector<SimOperation*>& queue, std::size_t limit);
  void resumeAccepts();
  bool acceptsAreDue() const;

  void lookAtCancel(SimOperation& operation);
  void end(SimOperation& operation, IoResult result);
  void fail(SimOperation& operation, int error) { end(operation, {.error = error}); }
  void note(std::string_view what, const SimOperation& operation) const;

  SimWorld& world_;
  SimTcp& tcp_;
  LoopCounters& counters_;
  const std::string name_;
  SimCompletions completions_;
  SimLender lender_;
  std::vector<SimOperation*> interrupted_;  // streams and short sends, oldest first
  std::vector<SimOperation*> starved_;      // receives that found no buffer, oldest first
  std::vector<SimOperation*> paused_;       // accepts that found no descriptor or memory
  std::vector<SimOperation*> cancels_;      // the kernel has not looked at
  std::uint64_t closesSeen_ = 0;            // when the last accept paused
  TimePoint pausedUntil_ = kForever;
};

}  // namespace gyre
