// Buffer: bytes in order, read from the front and written at the back; owned or borrowed.
//
//   storage_ | prependable | readable (peek .. peek + readableBytes) | writable | capacity
//
// Owned    The bytes are in memory of this Buffer. It has none until the first write, then
//          kCheapPrepend free bytes in front of the first. Room is made by moving the readable
//          bytes to the front while that frees enough to be worth the move, else by doubling.
// Borrowed A window on bytes of someone else, valid until they are taken back. Reading and
//          retrieving copy nothing. Whatever writes (append, prepend, ensureWritableBytes,
//          beginWrite, unwrite, shrink), own(), and moving or swapping it first copy the readable
//          bytes into memory of its own.
//
// Integers are in network order. Pointers and views into a Buffer are valid until it is written to,
// moved, or retrieved from. Whatever needs memory throws std::bad_alloc, or std::length_error when
// the length cannot exist, and then leaves the Buffer as it was. That includes moving from and
// swapping a borrowed Buffer, so these are not noexcept.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "gyre/base/Check.h"
#include "gyre/base/Export.h"

namespace gyre {

class GYRE_API Buffer {
 public:
  static constexpr std::size_t kCheapPrepend = 8;

  Buffer() noexcept = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  // The destination owns its bytes, the source is empty.
  Buffer(Buffer&& other);
  Buffer& operator=(Buffer&& other);
  ~Buffer() {
    if (storage_ != nullptr) std::free(storage_);
  }
  void swap(Buffer& other);

  // The bytes must stay valid and unchanged as long as the result is borrowed.
  static Buffer borrow(const char* data, std::size_t size) noexcept { return Buffer(data, size); }
  // True exactly while the readable bytes are someone else's.
  bool isBorrowed() const noexcept { return storage_ == nullptr && begin_ != nullptr; }
  // Copies the readable bytes if they are borrowed.
  void own() {
    if (isBorrowed()) shrink(0);
  }
  // An owned copy of the readable bytes.
  Buffer clone() const;

  std::size_t readableBytes() const noexcept { return size_; }
  std::size_t writableBytes() const noexcept {
    return storage_ == nullptr ? 0 : capacity_ - prependableBytes() - size_;
  }
  std::size_t prependableBytes() const noexcept {
    return storage_ == nullptr ? 0 : static_cast<std::size_t>(begin_ - storage_);
  }
  // Bytes of own memory, all three areas; 0 when there is none.
  std::size_t capacity() const noexcept { return capacity_; }

  // Reading

  const char* peek() const noexcept { return begin_; }
  std::string_view view() const noexcept { return {begin_, size_}; }
  std::span<const char> span() const noexcept { return {begin_, size_}; }

  // The first "\r\n", or '\n', in the readable bytes; nullptr when there is none.
  const char* findCRLF() const noexcept { return findCRLF(begin_); }
  const char* findEOL() const noexcept { return findEOL(begin_); }
  // REQUIRES: peek() <= start <= peek() + readableBytes().
  const char* findCRLF(const char* start) const noexcept;
  const char* findEOL(const char* start) const noexcept;

  // REQUIRES: n <= readableBytes().
  void retrieve(std::size_t n) noexcept {
    GYRE_CHECK(n <= size_, "retrieve: n <= readableBytes()");
    begin_ += n;
    size_ -= n;
    if (size_ == 0) retrieveAll();
  }
  // REQUIRES: peek() <= end <= peek() + readableBytes().
  void retrieveUntil(const char* end) noexcept;
  void retrieveAll() noexcept {
    begin_ = storage_ == nullptr ? begin_ + size_ : storage_ + kCheapPrepend;
    size_ = 0;
  }
  // REQUIRES: n <= readableBytes().
  std::string retrieveAsString(std::size_t n);
  std::string retrieveAllAsString() { return retrieveAsString(size_); }

  // REQUIRES, of peek, read and retrieve: readableBytes() holds an integer of that size.
  std::int8_t peekInt8() const noexcept { return peekInt<std::int8_t>(); }
  std::int16_t peekInt16() const noexcept { return peekInt<std::int16_t>(); }
  std::int32_t peekInt32() const noexcept { return peekInt<std::int32_t>(); }
  std::int64_t peekInt64() const noexcept { return peekInt<std::int64_t>(); }
  std::int8_t readInt8() noexcept { return readInt<std::int8_t>(); }
  std::int16_t readInt16() noexcept { return readInt<std::int16_t>(); }
  std::int32_t readInt32() noexcept { return readInt<std::int32_t>(); }
  std::int64_t readInt64() noexcept { return readInt<std::int64_t>(); }
  void retrieveInt8() noexcept { retrieve(sizeof(std::int8_t)); }
  void retrieveInt16() noexcept { retrieve(sizeof(std::int16_t)); }
  void retrieveInt32() noexcept { retrieve(sizeof(std::int32_t)); }
  void retrieveInt64() noexcept { retrieve(sizeof(std::int64_t)); }

  // Writing

  // The data may lie in this Buffer's own readable bytes. Nothing to write changes nothing.
  void append(std::string_view data) { append(data.data(), data.size()); }
  void append(const void* data, std::size_t size);
  // Takes constant time while prependableBytes() suffices, else makes room.
  void prepend(const void* data, std::size_t size);

  void appendInt8(std::int8_t value) { appendInt(value); }
  void appendInt16(std::int16_t value) { appendInt(value); }
  void appendInt32(std::int32_t value) { appendInt(value); }
  void appendInt64(std::int64_t value) { appendInt(value); }
  void prependInt8(std::int8_t value) { prependInt(value); }
  void prependInt16(std::int16_t value) { prependInt(value); }
  void prependInt32(std::int32_t value) { prependInt(value); }
  void prependInt64(std::int64_t value) { prependInt(value); }

  // Afterwards the Buffer is owned and writableBytes() >= n.
  void ensureWritableBytes(std::size_t n) {
    if (n > writableBytes() || isBorrowed()) makeRoom(n);
  }
  // Where the next byte goes: writableBytes() may be written there, then reported to hasWritten.
  // Null when there is no memory yet.
  char* beginWrite() {
    own();
    return storage_ == nullptr ? nullptr : storage_ + prependableBytes() + size_;
  }
  // REQUIRES: n <= writableBytes().
  void hasWritten(std::size_t n) noexcept {
    GYRE_CHECK(n <= writableBytes(), "hasWritten: n <= writableBytes()");
    size_ += n;
  }
  // Takes back the last n bytes.
  // REQUIRES: n <= readableBytes().
  void unwrite(std::size_t n) {
    GYRE_CHECK(n <= size_, "unwrite: n <= readableBytes()");
    own();
    size_ -= n;
  }
  // Gives memory back: afterwards writableBytes() == reserve, and no memory at all is held when
  // there is neither a readable byte nor a reserve.
  void shrink(std::size_t reserve);

 private:
  Buffer(const char* data, std::size_t size) noexcept : begin_(data), size_(size) {}

  struct Layout;  // how much memory, and where in it the readable bytes go

  bool ownsByte(const char* byte) const noexcept;
  void makeRoom(std::size_t writable);
  void makeFrontRoom(std::size_t prependable);
  void reallocate(const Layout& layout);
  void appendSlow(const char* data, std::size_t size);

  template <class T>
  T peekInt() const noexcept {
    GYRE_CHECK(size_ >= sizeof(T), "readableBytes() holds the integer");
    T value;
    std::memcpy(&value, begin_, sizeof(T));
    return swapToNetwork(value);
  }
  template <class T>
  T readInt() noexcept {
    const T value = peekInt<T>();
    retrieve(sizeof(T));
    return value;
  }
  template <class T>
  void appendInt(T value) {
    const T network = swapToNetwork(value);
    append(&network, sizeof(T));
  }
  template <class T>
  void prependInt(T value) {
    const T network = swapToNetwork(value);
    prepend(&network, sizeof(T));
  }
  // Its own inverse.
  template <class T>
  static T swapToNetwork(T value) noexcept {
    if constexpr (std::endian::native == std::endian::big) return value;
    if constexpr (sizeof(T) == 2) {
      return static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
    }
    if constexpr (sizeof(T) == 4) {
      return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
    }
    if constexpr (sizeof(T) == 8) {
      return static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
    }
    return value;
  }

  char* storage_ = nullptr;      // null when there is no own memory: empty or borrowed
  std::size_t capacity_ = 0;     // bytes of storage_
  const char* begin_ = nullptr;  // the first readable byte, in storage_ or lent
  std::size_t size_ = 0;         // readable bytes
};

static_assert(sizeof(Buffer) <= 40);

inline void Buffer::append(const void* data, std::size_t size) {
  if (size > writableBytes()) return appendSlow(static_cast<const char*>(data), size);
  if (size == 0) return;
  std::memcpy(storage_ + prependableBytes() + size_, data, size);
  size_ += size;
}

}  // namespace gyre
