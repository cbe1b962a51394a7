// LoopCounters: what one loop has done so far, counted by one writer, readable from any thread.
//
// Thread  Written by the loop's thread alone; read anywhere without stopping the loop. Each number
//         is exact by itself; two numbers read together may be one step apart.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "gyre/proactor/IoContext.h"

namespace gyre {

// A single-writer counter: an addition is a plain load and store, no locked instruction.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void raiseTo(std::uint64_t n) noexcept {
    if (n > get()) value_.store(n, std::memory_order_relaxed);
  }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

inline constexpr std::size_t kIoKinds = 8;

struct alignas(64) LoopCounters {
  Counter iterations;
  Counter enters;       // system calls that submit or wait (io_uring_enter, epoll_wait)
  Counter submissions;  // operations handed to the kernel, re-arms included
  std::array<Counter, kIoKinds> completions;  // delivered to handlers, by IoKind
  Counter directSends;                        // system calls of trySend
  Counter rearms;              // streams and short sends the engine took up again by itself
  Counter receivesStarved;     // ENOBUFS: a receive that found no free buffer
  Counter operationsNoMemory;  // could not be started: memory is out
  Counter overflows;           // the completion queue was full and the kernel kept the rest
  Counter bytesReceived;
  Counter bytesSent;
  Counter accepts;
  Counter acceptsNoDescriptors;  // EMFILE, ENFILE
  Counter acceptsNoMemory;       // ENOBUFS, ENOMEM
  Counter acceptsAborted;        // ECONNABORTED, EPROTO: the peer left before it was accepted
  Counter functors;
  Counter wakeups;  // eventfd writes that other threads paid to wake this loop
  Counter timers;
  Counter timeouts;          // connections closed for one
  Counter callbackFailures;  // user callbacks, functors and timers that threw
  Counter connections;       // opened
  Counter disconnections;    // closed
  Counter slowCallbacks;     // longer than the loop's limit
  Counter longestCallback;   // ns; those below a millisecond need not be noted
  Counter lagMax;            // ns: the longest time between two looks at the kernel
  Counter busy;              // ns in all, not waiting; booked with the next wake-up

  Counter& completed(IoKind kind) noexcept { return completions[static_cast<std::size_t>(kind)]; }
  const Counter& completed(IoKind kind) const noexcept {
    return completions[static_cast<std::size_t>(kind)];
  }
};

}  // namespace gyre
