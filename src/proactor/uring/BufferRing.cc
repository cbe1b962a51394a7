#include "proactor/uring/BufferRing.h"

#include <sys/mman.h>

#include <cerrno>
#include <new>
#include <utility>

namespace gyre {

int BufferRing::open(Ring& ring, std::uint32_t count, std::uint32_t countMax,
                     std::uint32_t bufferSize) {
  // The memory of buffers not yet in use is mapped but not touched: it costs address space only.
  MappedMemory table = MappedMemory::map(countMax * sizeof(io_uring_buf));
  if (!table) return -errno;
  memory_ = MappedMemory::map(std::size_t{countMax} * bufferSize);
  if (!memory_) return -errno;
  keeps_.reset(new (std::nothrow) std::uint16_t[countMax]());
  if (keeps_ == nullptr) return -ENOMEM;
  stride_ = bufferSize;
  bufferSize_ = bufferSize;
  countMin_ = count;
  countMax_ = countMax;
  mask_ = static_cast<std::uint16_t>(countMax - 1);

  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(table.data());
  registration.ring_entries = countMax;
  registration.bgid = kGroup;
  const int result = ring.registerWith(IORING_REGISTER_PBUF_RING, &registration, 1);
  if (result < 0) return result;
  table_ = std::move(table);
  for (; count_ < count; ++count_) add(static_cast<std::uint16_t>(count_));
  publish();
  return 0;
}

void BufferRing::add(std::uint16_t id) noexcept {
  auto* entries = reinterpret_cast<io_uring_buf*>(table_.data());
  io_uring_buf& entry = entries[tail_ & mask_];
  // Field by field: the ring's tail lies in the reserved bytes of the first entry.
  entry.addr = reinterpret_cast<std::uint64_t>(data(id));
  entry.len = bufferSize_;
  entry.bid = id;
  ++tail_;
}

void BufferRing::recycle(std::uint16_t id) noexcept {
  if (keeps_[id] == 0) return add(id);
  --keeps_[id];
}

void BufferRing::keep(std::uint16_t id) noexcept {
  ++keeps_[id];
  ++kept_;
}

void BufferRing::endKeep(std::uint16_t id) noexcept {
  --kept_;
  recycle(id);
}

void BufferRing::publish() noexcept {
  if (published_ == tail_) return;
  available_ += static_cast<std::uint16_t>(tail_ - published_);
  published_ = tail_;
  auto* header = reinterpret_cast<io_uring_buf_ring*>(table_.data());
  __atomic_store_n(&header->tail, tail_, __ATOMIC_RELEASE);
}

bool BufferRing::grow() noexcept {
  if (count_ >= countMax_) return false;
  const std::uint32_t target = count_ * 2 < countMax_ ? count_ * 2 : countMax_;
  for (; count_ < target; ++count_) add(static_cast<std::uint16_t>(count_));
  return true;
}

void BufferRing::giveBackPages() noexcept {
  ::madvise(memory_.data(), memory_.size(), MADV_DONTNEED);
}

}  // namespace gyre
