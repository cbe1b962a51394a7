// BufferRing: the receive buffers of a loop, of which the kernel takes one per arrival.
//
// A ring is a FIFO over its buffers, so it starts small to stay hot and grows on demand.
//
// Thread  The ring's.
// Owns    The memory. The kernel owns each buffer from publish() until a completion names it.
// Ends    After the ring: the kernel may write until the ring is closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "proactor/MappedMemory.h"
#include "proactor/uring/Ring.h"

namespace gyre {

class BufferRing {
 public:
  static constexpr std::uint16_t kGroup = 0;

  // 0 or -errno. `count` and `countMax` are powers of two, at most 32768 (the kernel's limit).
  int open(Ring& ring, std::uint32_t count, std::uint32_t countMax, std::uint32_t bufferSize);
  bool isOpen() const noexcept { return static_cast<bool>(table_); }

  char* data(std::uint16_t id) const noexcept { return memory_.data() + id * stride_; }
  std::uint32_t bufferSize() const noexcept { return bufferSize_; }
  // Buffers that the kernel has, as far as completions have told.
  std::uint32_t available() const noexcept { return available_; }

  // A completion named this buffer.
  void taken() noexcept { --available_; }
  // Gives it back, unless it is kept; the kernel sees it at the next publish().
  void recycle(std::uint16_t id) noexcept;
  // REQUIRES: it was taken, and not recycled yet. It stays so until as many endKeep().
  void keep(std::uint16_t id) noexcept;
  void endKeep(std::uint16_t id) noexcept;
  // True while any is kept.
  bool hasKept() const noexcept { return kept_ != 0; }
  bool contains(const char* byte) const noexcept {
    return byte >= memory_.data() && byte < memory_.data() + memory_.size();
  }
  // REQUIRES: contains(byte).
  std::uint16_t idOf(const char* byte) const noexcept {
    return static_cast<std::uint16_t>(static_cast<std::size_t>(byte - memory_.data()) / stride_);
  }
  void publish() noexcept;
  // Doubles the pool; false at its maximum.
  bool grow() noexcept;
  bool hasGrown() const noexcept { return count_ > countMin_; }
  // REQUIRES: no buffer holds bytes that are still wanted.
  void giveBackPages() noexcept;

 private:
  void add(std::uint16_t id) noexcept;

  MappedMemory table_;
  MappedMemory memory_;
  std::unique_ptr<std::uint16_t[]> keeps_;  // by id: how many recycle() more it takes
  std::uint32_t kept_ = 0;
  std::size_t stride_ = 0;
  std::uint32_t bufferSize_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t countMin_ = 0;
  std::uint32_t countMax_ = 0;
  std::uint32_t available_ = 0;
  std::uint16_t mask_ = 0;
  std::uint16_t tail_ = 0;
  std::uint16_t published_ = 0;
};

}  // namespace gyre
