// SimOperation: one operation of a simulated engine, from the verb to its terminal completion.
//
// Thread  The engine's.
// Borrows The context, and the bytes to send or to receive into, until the terminal completion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gyre/base/Check.h"
#include "gyre/proactor/Proactor.h"
#include "sim/SimLender.h"
#include "sim/SimTcp.h"

namespace gyre {

// The bytes of a send and how far it got.
class SimOutput {
 public:
  SimOutput() = default;
  // REQUIRES: as Proactor::send.
  explicit SimOutput(std::span<const IoSlice> slices);

  std::size_t total() const noexcept { return snapshot_.size(); }
  std::size_t done() const noexcept { return done_; }
  // Sends the next n bytes, read from the caller's memory.
  void writeTo(SimLink& link, SimSide side, std::size_t n);
  // Whether some of it lies in a receive buffer, which must not wait with it.
  bool isOf(SimLender& lender) const noexcept;
  // Whether some of it lies in that memory.
  bool isIn(const char* memory, std::size_t size) const noexcept;
  // The caller's bytes are what they were when the send was started (CHECKed).
  void checkUnchanged() const;

 private:
  std::vector<IoSlice> slices_;
  std::string snapshot_;
  std::size_t done_ = 0;
  std::size_t slice_ = 0;    // the first slice with bytes left
  std::size_t inSlice_ = 0;  // bytes of it that are sent
};

struct SimOperation {
  enum class State : std::uint8_t {
    Queued,   // the kernel has not seen it yet
    Armed,    // the kernel holds it
    Waiting,  // ended by the kernel for no fault of the peer; the engine arms it again
    Ended,    // its terminal completion waits to be delivered
  };

  IoContext* context = nullptr;
  SimSocket* socket = nullptr;
  std::int64_t number = 0;  // in the order of starting, in the whole network
  IoKind kind = IoKind::Idle;
  State state = State::Queued;
  bool isCancelled = false;    // a cancel was asked for: it is not armed again
  bool cancelPending = false;  // the kernel has not looked at that cancel yet
  TimePoint cancelAt{};        // when it will
  TimePoint completionsAt{};   // none of it is delivered before those already queued

  // Arguments, by kind
  SimOutput output;          // Send
  std::span<char> into;      // ReceiveInto, Read
  std::uint32_t events = 0;  // Poll
  InetAddress to;            // Connect
};

}  // namespace gyre
