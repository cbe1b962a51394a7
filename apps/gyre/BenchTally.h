// BenchTally: what one thread of gyre bench has counted; tallies add up.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "LatencyHistogram.h"

namespace gyre {

enum class BenchFault : std::uint8_t {
  Refused,         // nobody listens
  ConnectFailed,   // another error of connect, or no descriptor or port for one
  ConnectTimeout,  // no answer
  Reset,           // an error on an open connection
  Closed,          // the server ended the stream though something was owed
  WrongByte,       // with --check
  Excess,          // more came back than was asked for
  Unanswered,      // requests that had no reply when the run was over
};

inline constexpr std::array<std::string_view, 8> kBenchFaultNames = {
    "refused", "connect_failed", "connect_timeout", "reset",
    "closed",  "wrong_byte",     "excess",          "unanswered"};

struct BenchTally {
  // Within the window.
  LatencyHistogram latency;
  std::uint64_t messages = 0;
  std::uint64_t bytesSent = 0;
  std::uint64_t bytesReceived = 0;
  double seconds = 0;     // the longest window
  double cpuSeconds = 0;  // of the threads of the load

  // From start to end.
  std::uint64_t connected = 0;
  std::uint64_t open = 0;  // when the window closed
  std::array<std::uint64_t, kBenchFaultNames.size()> faults{};
  std::string firstFault;

  void add(const BenchTally& other) {
    latency.add(other.latency);
    messages += other.messages;
    bytesSent += other.bytesSent;
    bytesReceived += other.bytesReceived;
    seconds = std::max(seconds, other.seconds);
    cpuSeconds += other.cpuSeconds;
    connected += other.connected;
    open += other.open;
    for (std::size_t i = 0; i < faults.size(); ++i) faults[i] += other.faults[i];
    if (firstFault.empty()) firstFault = other.firstFault;
  }

  std::uint64_t faultCount() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : faults) sum += count;
    return sum;
  }
};

}  // namespace gyre
