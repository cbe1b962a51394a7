// OutputQueue: the bytes a connection still has to send, as a list of slices.
//
// Small writes are gathered into blocks of the loop's pool; large strings and shared buffers are
// kept as they are, and so may be what a receive lends. Bytes do not move from append() until
// consume(), so the kernel may hold them.
//
// Thread  The connection's loop.
// Owns    Its slices: blocks of the pool, strings, references. It lives in a small block itself.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "gyre/proactor/Proactor.h"
#include "proactor/BlockPool.h"

namespace gyre {

class OutputQueue {
 public:
  // From this size on a string is kept instead of copied.
  static constexpr std::size_t kKeepSize = 8 * 1024;

  // Null when memory is out.
  static OutputQueue* make(BlockPool& pool) noexcept;
  static void destroy(OutputQueue* queue) noexcept;

  // False when memory is out: then nothing, or for the first only a part, was appended.
  bool append(std::string_view bytes) noexcept;
  bool append(std::string&& bytes) noexcept;
  bool append(std::shared_ptr<const std::string> bytes) noexcept;
  // Keeps bytes of a receive buffer instead of copying them, until they are sent or ownLent() is
  // called. False when they are not lent, would not go out with the next send, or memory is out:
  // then nothing was appended. REQUIRES: no send is in flight.
  bool appendLent(std::string_view bytes, Proactor& lender) noexcept;
  // Copies what is still lent, and gives it back. False when memory is out.
  bool ownLent() noexcept;

  std::size_t size() const noexcept { return size_; }
  // When the kernel last took some of it, or when it was begun.
  TimePoint progressedAt() const noexcept { return progressedAt_; }
  void setProgressedAt(TimePoint time) noexcept { progressedAt_ = time; }
  bool isEmpty() const noexcept { return size_ == 0; }

  // The next bytes to send, at most kSendBytesMax; the number of slices.
  std::size_t gather(std::span<IoSlice, kSendSlicesMax> slices) const noexcept;
  // These have been sent. REQUIRES: bytes <= size().
  void consume(std::size_t bytes) noexcept;

 private:
  enum class Kind : std::uint8_t { Block, String, Shared, Lent };
  struct Slice {
    Slice* next;
    const char* data;
    std::size_t size;
    Kind kind;
  };
  struct StringSlice;
  struct SharedSlice;
  struct LentSlice;

  explicit OutputQueue(BlockPool& pool) noexcept : pool_(pool) {}
  ~OutputQueue();
  std::size_t roomInTail() const noexcept;
  bool appendBlock() noexcept;
  void push(Slice* slice) noexcept;
  void release(Slice* slice) noexcept;

  BlockPool& pool_;
  Slice* head_ = nullptr;
  Slice* tail_ = nullptr;
  std::size_t size_ = 0;
  std::size_t slices_ = 0;
  TimePoint progressedAt_{};
};

}  // namespace gyre
