#include "gyre/base/Buffer.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <new>
#include <stdexcept>
#include <utility>

namespace gyre {
namespace {

constexpr std::size_t kFirstCapacity = 256;
// No object is larger; malloc refuses more.
constexpr std::size_t kMaxCapacity = PTRDIFF_MAX;
// Moving at most four bytes for each one freed keeps appending and retrieving in small steps
// linear, however much lies unread in between.
constexpr std::size_t kMovedPerFreed = 4;

std::size_t checkedSum(std::size_t a, std::size_t b) {
  if (a > kMaxCapacity || b > kMaxCapacity - a) {
    throw std::length_error("gyre::Buffer: longer than memory can be");
  }
  return a + b;
}

// At least needed, and at least twice what there was, so that growth costs linear time in all.
std::size_t grownCapacity(std::size_t capacity, std::size_t needed) noexcept {
  const std::size_t doubled = capacity > kMaxCapacity / 2 ? kMaxCapacity : capacity * 2;
  return std::max({needed, doubled, kFirstCapacity});
}

bool isWithin(const char* pointer, const char* begin, const char* end) noexcept {
  return std::less_equal<>()(begin, pointer) && std::less_equal<>()(pointer, end);
}

}  // namespace

struct Buffer::Layout {
  std::size_t capacity;
  std::size_t prependable;
};

Buffer::Buffer(Buffer&& other) { *this = std::move(other); }

Buffer& Buffer::operator=(Buffer&& other) {
  if (this == &other) return *this;
  other.own();
  std::free(storage_);
  storage_ = std::exchange(other.storage_, nullptr);
  capacity_ = std::exchange(other.capacity_, 0);
  begin_ = std::exchange(other.begin_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

void Buffer::swap(Buffer& other) {
  own();
  other.own();
  std::swap(storage_, other.storage_);
  std::swap(capacity_, other.capacity_);
  std::swap(begin_, other.begin_);
  std::swap(size_, other.size_);
}

Buffer Buffer::clone() const {
  Buffer copy = borrow(begin_, size_);
  copy.own();
  return copy;
}

const char* Buffer::findCRLF(const char* start) const noexcept {
  const char* end = begin_ + size_;
  GYRE_CHECK(isWithin(start, begin_, end), "findCRLF: start is in the readable bytes");
  if (start == end) return nullptr;
  return static_cast<const char*>(
      ::memmem(start, static_cast<std::size_t>(end - start), "\r\n", 2));
}

const char* Buffer::findEOL(const char* start) const noexcept {
  const char* end = begin_ + size_;
  GYRE_CHECK(isWithin(start, begin_, end), "findEOL: start is in the readable bytes");
  if (start == end) return nullptr;
  return static_cast<const char*>(std::memchr(start, '\n', static_cast<std::size_t>(end - start)));
}

void Buffer::retrieveUntil(const char* end) noexcept {
  GYRE_CHECK(isWithin(end, begin_, begin_ + size_), "retrieveUntil: end is in the readable bytes");
  retrieve(static_cast<std::size_t>(end - begin_));
}

std::string Buffer::retrieveAsString(std::size_t n) {
  GYRE_CHECK(n <= size_, "retrieveAsString: n <= readableBytes()");
  std::string result(view().substr(0, n));
  retrieve(n);
  return result;
}

// Such a byte moves when room is made; a lent one stays where it is. The byte behind the last one
// is not ours: an allocator without headers puts somebody else's there.
bool Buffer::ownsByte(const char* byte) const noexcept {
  return storage_ != nullptr && std::less_equal<>()(begin_, byte) &&
         std::less<>()(byte, begin_ + size_);
}

void Buffer::prepend(const void* data, std::size_t size) {
  if (size == 0) return;
  const char* source = static_cast<const char*>(data);
  if (size > prependableBytes()) {
    const bool isOwn = ownsByte(source);
    const std::ptrdiff_t offset = isOwn ? source - begin_ : 0;
    makeFrontRoom(size);
    if (isOwn) source = begin_ + offset;
  }
  std::memcpy(storage_ + (prependableBytes() - size), source, size);
  begin_ -= size;
  size_ += size;
}

void Buffer::appendSlow(const char* data, std::size_t size) {
  const bool isOwn = ownsByte(data);
  const std::ptrdiff_t offset = isOwn ? data - begin_ : 0;
  makeRoom(size);
  if (isOwn) data = begin_ + offset;
  std::memcpy(storage_ + prependableBytes() + size_, data, size);
  size_ += size;
}

void Buffer::shrink(std::size_t reserve) {
  const std::size_t wanted = checkedSum(size_, reserve);
  if (wanted != 0) return reallocate({checkedSum(wanted, kCheapPrepend), kCheapPrepend});
  std::free(storage_);
  storage_ = nullptr;
  capacity_ = 0;
  begin_ = nullptr;
}

void Buffer::makeRoom(std::size_t writable) {
  const std::size_t needed = checkedSum(checkedSum(size_, writable), kCheapPrepend);
  // There is something to free when it suffices: writable was more than what lies at the back.
  const std::size_t freed = needed <= capacity_ ? prependableBytes() - kCheapPrepend : 0;
  if (freed == 0 || size_ / kMovedPerFreed > freed) {
    return reallocate({grownCapacity(capacity_, needed), kCheapPrepend});
  }
  std::memmove(storage_ + kCheapPrepend, begin_, size_);
  begin_ = storage_ + kCheapPrepend;
}

// What is free then is divided between front and back, so that several small prepends need it once.
void Buffer::makeFrontRoom(std::size_t prependable) {
  const std::size_t needed = checkedSum(size_, prependable);
  if (storage_ == nullptr || needed > capacity_) {
    const std::size_t capacity = grownCapacity(capacity_, checkedSum(needed, kCheapPrepend));
    return reallocate({capacity, prependable + (capacity - needed) / 2});
  }
  const std::size_t front = prependable + (capacity_ - needed) / 2;
  std::memmove(storage_ + front, begin_, size_);
  begin_ = storage_ + front;
}

// realloc where the readable bytes keep their distance from the start: it moves large blocks by
// page table instead of by byte. No memory is touched before all of it is there.
void Buffer::reallocate(const Layout& layout) {
  const bool inPlace = storage_ != nullptr && prependableBytes() == layout.prependable;
  void* memory = inPlace ? std::realloc(storage_, layout.capacity) : std::malloc(layout.capacity);
  if (memory == nullptr) throw std::bad_alloc();
  char* storage = static_cast<char*>(memory);
  if (!inPlace) {
    if (size_ != 0) std::memcpy(storage + layout.prependable, begin_, size_);
    std::free(storage_);
  }
  storage_ = storage;
  capacity_ = layout.capacity;
  begin_ = storage + layout.prependable;
}

}  // namespace gyre
