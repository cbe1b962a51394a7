// SimFaults: what may go wrong in a simulated network, how often, and how often it did.
//
// Thread  Values; the statistics are written by the one thread that steps the network.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gyre/base/Export.h"
#include "gyre/proactor/Proactor.h"

namespace gyre {

// "Seen" kinds have no probability of their own: they are counted when they come about.
enum class SimFault : std::uint8_t {
  // Engine: completions
  CompletionReordered,    // one overtook an older one of another operation
  CompletionDelayed,      // up to 10 ms
  CompletionsOneByOne,    // one per run though more were ready
  CompletionsOverflowed,  // the completion queue was full: streams end and are armed again
  RunReturnsEarly,        // with nothing to tell
  LoopStalled,            // the loop's thread gets no processor for up to 2 s
  // Engine: operations
  ReceiveSplit,         // fewer bytes than there were, down to one
  ReceiveStarved,       // ENOBUFS: no free receive buffer
  StreamEnded,          // a multishot ended without error
  SendContinued,        // a short send, continued inside
  SendNoMemory,         // ENOBUFS or ENOMEM
  AcceptNoDescriptors,  // EMFILE: by chance, or by SimOptions::descriptorsMax
  AcceptNoMemory,       // ENOBUFS
  AcceptAborted,        // the peer left before it was accepted
  CancelDelayed,        // the kernel looks at a cancel up to 10 ms later
  CancelTooLate,        // seen: it found the operation complete
  CancelAfterBytes,     // seen: bytes were taken between the asking and the end
  CancelledSend,        // seen: ECANCELED with a part of the bytes sent
  // Network
  SegmentSplit,        // down to one byte
  SegmentDelayed,      // up to 50 ms
  ConnectRefused,      // though somebody listens
  ConnectTimedOut,     // up to 127 s
  ConnectUnreachable,  // ENETUNREACH or EHOSTUNREACH
  ConnectDelayed,      // up to 3 s
  ResetInBacklog,      // between connect and accept
  ResetIdle,           // nothing is on its way in either direction
  ResetReceiving,      // with bytes that have just arrived
  ResetSending,        // while a send waits for the peer
  PeerVanished,        // no packet passes any more: ETIMEDOUT after up to 60 s
  ClosedUnread,        // seen: a close with unread bytes reset the connection
  // Scripted clients
  ClientStalled,     // stops reading for up to 500 ms; seen too, when the script says so
  ClientReset,       // seen: by the script
  HalfClosedUnsent,  // seen: the client ends its stream before it has sent a byte
  HalfClosedSent,    // seen: the client ends its stream after what it sent
};

inline constexpr std::size_t kSimFaults = 34;

GYRE_API std::string_view simFaultName(SimFault fault) noexcept;

// A probability, 0 to 1, for each kind: each time the occasion arises.
class GYRE_API SimFaults {
 public:
  // Nothing goes wrong.
  constexpr SimFaults() noexcept = default;
  // Everything goes wrong now and then. `scale` multiplies the default probabilities.
  static SimFaults everything(double scale = 1.0) noexcept;

  double& operator[](SimFault fault) noexcept {
    return probabilities_[static_cast<std::size_t>(fault)];
  }
  double operator[](SimFault fault) const noexcept {
    return probabilities_[static_cast<std::size_t>(fault)];
  }

 private:
  std::array<double, kSimFaults> probabilities_{};
};

struct SimOptions {
  std::uint64_t seed = 1;
  SimFaults faults = {};

  // One way through the network, drawn anew for each segment.
  Duration latencyMin = std::chrono::microseconds(5);
  Duration latencyMax = std::chrono::microseconds(100);
  // Bytes of each direction of a connection: on their way, and arrived but unread.
  std::size_t sendBuffer = 64 * 1024;
  std::size_t receiveBuffer = 64 * 1024;

  // Of each engine.
  std::size_t receiveBuffers = 16;
  std::size_t receiveBufferSize = 4096;
  std::size_t completionEntries = 1024;
  // Sockets that all engines together can have open; 0: any number.
  std::size_t descriptorsMax = 0;

  // Steps in a row while virtual time stands still; more is a CHECK: something spins.
  std::size_t stepsPerInstantMax = 100'000;
};

struct SimStatistics {
  std::array<std::uint64_t, kSimFaults> faults{};  // how often each kind came about
  std::uint64_t steps = 0;
  std::uint64_t operations = 0;   // started
  std::uint64_t ended = 0;        // of these: with their terminal completion delivered
  std::uint64_t completions = 0;  // delivered
  std::uint64_t connections = 0;  // established
  std::uint64_t bytesRead = 0;    // by engines and clients, from the network
  std::uint64_t socketsOpened = 0;
  std::uint64_t socketsClosed = 0;

  std::uint64_t operator[](SimFault fault) const noexcept {
    return faults[static_cast<std::size_t>(fault)];
  }
  // Sockets that some engine opened and nobody has closed.
  std::uint64_t socketsOpen() const noexcept { return socketsOpened - socketsClosed; }
};

}  // namespace gyre
