#include "gyre/sim/SimFaults.h"

#include <algorithm>

namespace gyre {
namespace {

struct Kind {
  SimFault fault;
  std::string_view name;
  double probability;  // in SimFaults::everything; 0: only seen
};

// Rare enough that connections get somewhere, frequent enough that a few thousand seeds show each.
constexpr std::array<Kind, kSimFaults> kKinds = {{
    {SimFault::CompletionReordered, "CompletionReordered", 0.2},
    {SimFault::CompletionDelayed, "CompletionDelayed", 0.1},
    {SimFault::CompletionsOneByOne, "CompletionsOneByOne", 0.2},
    {SimFault::CompletionsOverflowed, "CompletionsOverflowed", 0.02},
    {SimFault::RunReturnsEarly, "RunReturnsEarly", 0.02},
    {SimFault::LoopStalled, "LoopStalled", 0.002},
    {SimFault::ReceiveSplit, "ReceiveSplit", 0.1},
    {SimFault::ReceiveStarved, "ReceiveStarved", 0.05},
    {SimFault::StreamEnded, "StreamEnded", 0.05},
    {SimFault::SendContinued, "SendContinued", 0.1},
    {SimFault::SendNoMemory, "SendNoMemory", 0.008},
    {SimFault::AcceptNoDescriptors, "AcceptNoDescriptors", 0.05},
    {SimFault::AcceptNoMemory, "AcceptNoMemory", 0.04},
    {SimFault::AcceptAborted, "AcceptAborted", 0.03},
    {SimFault::CancelDelayed, "CancelDelayed", 0.5},
    {SimFault::CancelTooLate, "CancelTooLate", 0},
    {SimFault::CancelAfterBytes, "CancelAfterBytes", 0},
    {SimFault::CancelledSend, "CancelledSend", 0},
    {SimFault::SegmentSplit, "SegmentSplit", 0.1},
    {SimFault::SegmentDelayed, "SegmentDelayed", 0.05},
    {SimFault::ConnectRefused, "ConnectRefused", 0.04},
    {SimFault::ConnectTimedOut, "ConnectTimedOut", 0.04},
    {SimFault::ConnectUnreachable, "ConnectUnreachable", 0.04},
    {SimFault::ConnectDelayed, "ConnectDelayed", 0.05},
    {SimFault::ResetInBacklog, "ResetInBacklog", 0.05},
    {SimFault::ResetIdle, "ResetIdle", 0.1},
    {SimFault::ResetReceiving, "ResetReceiving", 0.006},
    {SimFault::ResetSending, "ResetSending", 0.1},
    {SimFault::PeerVanished, "PeerVanished", 0.05},
    {SimFault::ClosedUnread, "ClosedUnread", 0},
    {SimFault::ClientStalled, "ClientStalled", 0.01},
    {SimFault::ClientReset, "ClientReset", 0},
    {SimFault::HalfClosedUnsent, "HalfClosedUnsent", 0},
    {SimFault::HalfClosedSent, "HalfClosedSent", 0},
}};

constexpr bool isInOrder() {
  for (std::size_t i = 0; i < kSimFaults; ++i) {
    if (static_cast<std::size_t>(kKinds[i].fault) != i) return false;
  }
  return true;
}
static_assert(isInOrder(), "one entry per kind, in the order of the enumeration");
static_assert(static_cast<std::size_t>(SimFault::HalfClosedSent) + 1 == kSimFaults);

}  // namespace

std::string_view simFaultName(SimFault fault) noexcept {
  return kKinds[static_cast<std::size_t>(fault)].name;
}

SimFaults SimFaults::everything(double scale) noexcept {
  SimFaults faults;
  for (const Kind& kind : kKinds) faults[kind.fault] = std::min(1.0, kind.probability * scale);
  return faults;
}

}  // namespace gyre
