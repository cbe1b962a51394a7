// ServerProcess: an echo server in a process of its own: to be measured, stopped, and kept short.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gyre/base/InetAddress.h"
#include "support/ChildProcess.h"

namespace gyre {

class ServerProcess {
 public:
  struct Options {
    std::size_t descriptors = 0;  // RLIMIT_NOFILE; 0: as it is
    // The sizes that users get, also when this run is about tiny ones.
    bool usualSizes = false;
  };
  struct Counters {
    std::uint64_t iterations = 0;
    std::uint64_t enters = 0;
    std::uint64_t accepts = 0;
    std::uint64_t acceptsNoDescriptors = 0;
    std::uint64_t connections = 0;
    std::uint64_t disconnections = 0;
    std::uint64_t bytesReceived = 0;
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
