#include "connection/OutputQueue.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "gyre/base/Check.h"

namespace gyre {

// A block slice begins its own block; the others lie in small blocks.
struct OutputQueue::StringSlice : Slice {
  std::string bytes;
};
struct OutputQueue::SharedSlice : Slice {
  std::shared_ptr<const std::string> bytes;
};
struct OutputQueue::LentSlice : Slice {
  Proactor& lender;
  const char* begin;  // `data` may come to lie in another buffer
};

OutputQueue* OutputQueue::make(BlockPool& pool) noexcept {
  static_assert(sizeof(OutputQueue) <= BlockPool::kSmallSize);
  static_assert(sizeof(StringSlice) <= BlockPool::kSmallSize);
  static_assert(sizeof(LentSlice) <= sizeof(StringSlice));
  void* memory = pool.acquireSmall();
  return memory == nullptr ? nullptr : new (memory) OutputQueue(pool);
}

void OutputQueue::destroy(OutputQueue* queue) noexcept {
  BlockPool& pool = queue->pool_;
  queue->~OutputQueue();
  pool.releaseSmall(queue);
}

OutputQueue::~OutputQueue() {
  while (head_ != nullptr) release(std::exchange(head_, head_->next));
}

bool OutputQueue::append(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    if (roomInTail() == 0 && !appendBlock()) return false;
    const std::size_t count = std::min(bytes.size(), roomInTail());
    std::memcpy(const_cast<char*>(tail_->data) + tail_->size, bytes.data(), count);
    tail_->size += count;
    size_ += count;
    bytes.remove_prefix(count);
  }
  return true;
}

bool OutputQueue::append(std::string&& bytes) noexcept {
  if (bytes.size() < kKeepSize) return append(std::string_view(bytes));
  void* memory = pool_.acquireSmall();
  if (memory == nullptr) return false;
  auto* slice = new (memory) StringSlice{{nullptr, nullptr, 0, Kind::String}, std::move(bytes)};
  slice->data = slice->bytes.data();
  slice->size = slice->bytes.size();
  push(slice);
  return true;
}

bool OutputQueue::append(std::shared_ptr<const std::string> bytes) noexcept {
  if (bytes == nullptr || bytes->empty()) return true;
  void* memory = pool_.acquireSmall();
  if (memory == nullptr) return false;
  auto* slice = new (memory) SharedSlice{{nullptr, nullptr, 0, Kind::Shared}, std::move(bytes)};
  slice->data = slice->bytes->data();
  slice->size = slice->bytes->size();
  push(slice);
  return true;
}

bool OutputQueue::appendLent(std::string_view bytes, Proactor& lender) noexcept {
  // Behind more than gather() takes they would wait with what the peer does not read.
  if (slices_ >= kSendSlicesMax || size_ + bytes.size() > kSendBytesMax) return false;
  if (!lender.keepLent(bytes)) return false;
  void* memory = pool_.acquireSmall();
  if (memory == nullptr) {
    lender.returnLent(bytes.data());
    return false;
  }
  push(new (memory)
           LentSlice{{nullptr, bytes.data(), bytes.size(), Kind::Lent}, lender, bytes.data()});
  return true;
}

// Each becomes a string where it lies, so that the list stays as it is.
bool OutputQueue::ownLent() noexcept {
  for (Slice* slice = head_; slice != nullptr; slice = slice->next) {
    if (slice->kind != Kind::Lent) continue;
    const LentSlice lent = *static_cast<LentSlice*>(slice);
    std::string bytes;
    try {
      bytes.assign(lent.data, lent.size);
    } catch (const std::bad_alloc&) {
      return false;
    }
    lent.lender.returnLent(lent.begin);
    auto* own =
        new (slice) StringSlice{{lent.next, nullptr, lent.size, Kind::String}, std::move(bytes)};
    own->data = own->bytes.data();
  }
  return true;
}

std::size_t OutputQueue::gather(std::span<IoSlice, kSendSlicesMax> slices) const noexcept {
  std::size_t count = 0;
  std::size_t room = kSendBytesMax;
  for (const Slice* slice = head_; slice != nullptr && count < slices.size() && room > 0;
       slice = slice->next) {
    if (slice->size == 0) continue;
    slices[count] = {slice->data, std::min(slice->size, room)};
    room -= slices[count++].size;
  }
  return count;
}

void OutputQueue::consume(std::size_t bytes) noexcept {
  GYRE_DCHECK(bytes <= size_, "more was sent than was queued");
  size_ -= bytes;
  while (head_ != nullptr && (bytes > 0 || head_->size == 0)) {
    const std::size_t step = std::min(bytes, head_->size);
    head_->data += step;
    head_->size -= step;
    bytes -= step;
    if (head_->size > 0) return;
    release(std::exchange(head_, head_->next));
  }
}

std::size_t OutputQueue::roomInTail() const noexcept {
  if (head_ == nullptr || tail_->kind != Kind::Block) return 0;
  const char* end = reinterpret_cast<const char*>(tail_) + BlockPool::kBlockSize;
  return static_cast<std::size_t>(end - tail_->data) - tail_->size;
}

bool OutputQueue::appendBlock() noexcept {
  char* block = pool_.acquire();
  if (block == nullptr) return false;
  push(new (block) Slice{nullptr, block + sizeof(Slice), 0, Kind::Block});
  return true;
}

void OutputQueue::push(Slice* slice) noexcept {
  (head_ == nullptr ? head_ : tail_->next) = slice;
  tail_ = slice;
  size_ += slice->size;
  ++slices_;
}

void OutputQueue::release(Slice* slice) noexcept {
  --slices_;
  switch (slice->kind) {
    case Kind::Block: return pool_.release(reinterpret_cast<char*>(slice));
    case Kind::String: static_cast<StringSlice*>(slice)->~StringSlice(); break;
    case Kind::Shared: static_cast<SharedSlice*>(slice)->~SharedSlice(); break;
    case Kind::Lent: {
      const auto* lent = static_cast<LentSlice*>(slice);
      lent->lender.returnLent(lent->begin);
      break;
    }
  }
  pool_.releaseSmall(slice);
}

}  // namespace gyre
