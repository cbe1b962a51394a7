// ServerStats: what a server and its loops have done so far, at one moment.
//
// Each number is exact by itself; two numbers may be a step apart. Those of a loop count everything
// on that loop, also what belongs to other servers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gyre/base/Export.h"

namespace gyre {

struct LoopStats {
  std::size_t connections = 0;  // of this server, at the moment
  std::uint64_t iterations = 0;
  std::uint64_t enters = 0;       // system calls that submit or wait
  std::uint64_t directSends = 0;  // system calls that send without the engine's queue
  std::uint64_t completions = 0;  // of all kinds
  std::uint64_t functors = 0;
  std::uint64_t wakeups = 0;
  std::uint64_t timers = 0;
  std::uint64_t timeouts = 0;  // connections closed for one
  std::uint64_t bytesReceived = 0;
  std::uint64_t bytesSent = 0;
  std::uint64_t accepts = 0;
  std::uint64_t acceptsNoDescriptors = 0;
  std::uint64_t acceptsNoMemory = 0;
  std::uint64_t acceptsAborted = 0;
  std::uint64_t receivesStarved = 0;     // ENOBUFS: no free buffer at that moment
  std::uint64_t operationsNoMemory = 0;  // not started for want of memory: the connection closes
  std::uint64_t overflows = 0;           // of the completion queue
  std::uint64_t callbackFailures = 0;
  std::uint64_t slowCallbacks = 0;              // longer than EventLoop::setSlowCallbackLimit
  std::chrono::nanoseconds longestCallback{0};  // those below a millisecond may count as 0
  // How long an event waits at worst: the longest time between two looks at the kernel.
  std::chrono::nanoseconds lagMax{0};
  std::chrono::nanoseconds busy{0};  // in all, not waiting

  double completionsPerIteration() const noexcept {
    return iterations == 0 ? 0.0
                           : static_cast<double>(completions) / static_cast<double>(iterations);
  }
};

struct ServerStats {
  std::size_t connections = 0;  // at the moment
  std::uint64_t accepted = 0;   // sockets that came, the refused ones included
  std::uint64_t refusedByFilter = 0;
  std::uint64_t refusedByAddress = 0;      // ServerLimits::connectionsPerAddressMax
  std::uint64_t refusedByConnections = 0;  // ServerLimits::connectionsMax
  std::uint64_t refusedByMemory = 0;       // ServerLimits::memoryBudget
  std::uint64_t pausedForMemory = 0;       // connections, each time
  std::uint64_t abortedForMemory = 0;
  std::uint64_t listenersFailed = 0;  // for good, at run time: setListenerFailedCallback
  std::size_t bytesHeld = 0;          // in send queues and unread, in steps of 4 KiB per connection
  std::vector<LoopStats> loops;
};

}  // namespace gyre
