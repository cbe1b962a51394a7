// RingFaults: seeded faults between the engine and the kernel, for tests only.
//
// Data operations are no system calls, so nothing outside can make them fail. Here a submission is
// changed before the kernel sees it (a shorter length, a no-operation with an injected result, a
// real cancel of a multishot on top), and completions of different operations are held back and
// reordered. No completion is ever rewritten: each history is one that a kernel can have.
//
// Thread  setRingFaults() before the rings are opened; the rest on the ring's.
// Owns    The completions it holds back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <span>

#include "proactor/uring/Uapi.h"

namespace gyre {

enum class RingFault : std::uint8_t { ShortLength, Injected, Cancelled, HeldBack, Reordered };
inline constexpr std::size_t kRingFaults = 5;

struct RingFaultOptions {
  std::uint64_t seed = 1;
  // Of a thousand submissions or completions each.
  std::uint32_t shortLengths = 100;
  std::uint32_t passingErrors = 30;  // EINTR, ENOBUFS, ECONNABORTED … : the engine goes on
  std::uint32_t fatalErrors = 0;     // ECONNRESET, EPIPE …: the connection ends
  std::uint32_t cancels = 20;
  std::uint32_t holdBack = 200;
};

class RingFaults {
 public:
  explicit RingFaults(const RingFaultOptions& options);

  // Changes an entry that was filled and not yet published.
  void beforeSubmit(io_uring_sqe& sqe);
  // The user_data of a multishot to cancel now, or 0.
  std::uint64_t pickCancel();
  // How much of a send outside the ring shall be tried; 0 is a full send buffer.
  std::size_t sendLimit(std::size_t size);
  // What the kernel completed goes in, what the engine shall see comes out.
  void completed(std::span<const io_uring_cqe> batch);
  std::size_t take(std::span<io_uring_cqe> batch);
  bool isHolding() const noexcept { return !held_.empty(); }

 private:
  bool happens(std::uint32_t perThousand);
  std::uint64_t random();
  void shorten(io_uring_sqe& sqe);
  bool inject(io_uring_sqe& sqe);
  void count(RingFault fault);

  const RingFaultOptions options_;
  std::uint64_t state_;
  std::set<std::uint64_t> multishots_;  // armed
  std::deque<io_uring_cqe> held_;
};

// Rings opened from now on get faults; none after resetRingFaults().
void setRingFaults(const RingFaultOptions& options);
void resetRingFaults();
// For a ring that is being opened: null when faults are off.
std::unique_ptr<RingFaults> makeRingFaults();
// How often each kind has happened in this process.
std::uint64_t ringFaultCount(RingFault fault);

}  // namespace gyre
