// ServerProcess: an echo server in a process of its own: to be measured, stopped, interrupted, and
// kept short.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gyre/base/InetAddress.h"
#include "support/ChildProcess.h"

namespace gyre {

class ServerProcess {
 public:
  struct Options {
    std::size_t descriptors = 0;  // RLIMIT_NOFILE; 0: as it is
    // The sizes that users get, also when this run is about tiny ones.
    bool usualSizes = false;
    // How often SIGALRM interrupts it, caught by a handler without SA_RESTART; zero: never.
    std::chrono::microseconds alarmEvery{0};
    std::chrono::milliseconds idle{0};          // ConnectionTimeouts::idle
    int backlog = 4096;                         // of its listener
    std::size_t connectionsMax = 0;             // ServerLimits, refusing
    int threads = 0;                            // besides its base loop
    std::vector<std::string> environment = {};  // "NAME=value", added
  };
  struct Counters {
    std::uint64_t iterations = 0;
    std::uint64_t enters = 0;
    std::uint64_t directSends = 0;
    std::uint64_t accepts = 0;
    std::uint64_t acceptsNoDescriptors = 0;
    std::uint64_t connections = 0;
    std::uint64_t disconnections = 0;
    std::uint64_t bytesReceived = 0;
    std::uint64_t timeouts = 0;
    std::uint64_t refused = 0;   // beyond connectionsMax
    std::uint64_t accepted = 0;  // as the server counts them: the refused ones, too
    std::uint64_t alarms = 0;
    std::int64_t wallClock = 0;  // seconds since 1970, as it sees them
  };

  ServerProcess() : ServerProcess(Options()) {}
  explicit ServerProcess(const Options& options);

  const InetAddress& address() const noexcept { return address_; }
  Counters counters();
  // What it has in memory, in bytes.
  std::size_t residentBytes();
  Process& process() noexcept { return child_.process(); }

 private:
  ChildProcess child_;
  InetAddress address_;
};

}  // namespace gyre
