// WatchTable: what the epoll engine knows of each descriptor, and which of them have work to do.
//
// Thread  The engine's.
// Owns    The entries. An entry never moves: a handler may start operations on new descriptors
// while
//         another entry is being worked on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "proactor/epoll/OperationChain.h"

namespace gyre {

struct Watch {
  static constexpr std::uint16_t kRegistered = 1;  // in the epoll set
  static constexpr std::uint16_t kReadable = 2;    // the kernel may hold input, an end or an error
  static constexpr std::uint16_t kWritable = 4;    // the kernel may take output
  static constexpr std::uint16_t kReadToEnd = 8;   // a short receive does not prove it empty
  static constexpr std::uint16_t kCancelPending = 16;  // an operation here is asked to end
  static constexpr std::uint16_t kWorking = 32;        // in the list of those with work to do
  static constexpr std::uint16_t kListener = 64;
  static constexpr std::uint16_t kProtocolKnown = 128;
  static constexpr std::uint16_t kPlainTcp = 256;

  OperationChain input;   // accept, receive, receiveInto, read
  OperationChain output;  // send, connect
  OperationChain polls;
  std::int32_t nextWorking = -1;
  std::uint16_t generation = 0;  // of the descriptor number: counts how often it was closed
  std::uint16_t flags = 0;

  bool has(std::uint16_t flag) const noexcept { return (flags & flag) != 0; }
  void set(std::uint16_t flag) noexcept { flags = static_cast<std::uint16_t>(flags | flag); }
  void clear(std::uint16_t flag) noexcept { flags = static_cast<std::uint16_t>(flags & ~flag); }
  void assign(std::uint16_t flag, std::uint32_t condition) noexcept {
    condition != 0 ? set(flag) : clear(flag);
  }
  // Tells its events from those of an earlier file with the same number.
  std::uint64_t tag(std::int32_t fd) const noexcept {
    return std::uint64_t{generation} << 32 | static_cast<std::uint32_t>(fd);
  }
  bool isIdle() const noexcept { return input.isEmpty() && output.isEmpty() && polls.isEmpty(); }
  // The number now stands for another file, or for none.
  void forget() noexcept {
    ++generation;
    flags = static_cast<std::uint16_t>(flags & kWorking);
  }
};

static_assert(sizeof(Watch) <= 32, "what an idle connection costs");

class WatchTable {
 public:
  // Null when the descriptor was never grown to.
  Watch* find(std::int32_t fd) const noexcept {
    const auto index = static_cast<std::size_t>(fd);
    return index / kChunk < chunks_.size() ? &chunks_[index / kChunk][index % kChunk] : nullptr;
  }
  // As find, and makes room; null when memory is out.
  Watch* findOrGrow(std::int32_t fd) noexcept;

  // Adds it to the work unless it is there. REQUIRES: find(fd) is not null.
  void pushWork(std::int32_t fd) noexcept;
  // The descriptor that waits longest. REQUIRES: hasWork().
  std::int32_t popWork() noexcept;
  bool hasWork() const noexcept { return workSize_ != 0; }
  std::size_t workSize() const noexcept { return workSize_; }

 private:
  static constexpr std::size_t kChunk = 256;

  std::vector<std::unique_ptr<Watch[]>> chunks_;
  std::int32_t firstWorking_ = -1;
  std::int32_t lastWorking_ = -1;
  std::size_t workSize_ = 0;
};

}  // namespace gyre
