// CompletionBacklog: completions taken off the ring in order to submit, until they are dispatched.
//
// Oldest first, in a circle that doubles when it is full. Where there is no memory for that it
// takes no more: the rest stays in the ring, and then in the kernel.
//
// Thread  The ring's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "proactor/uring/Uapi.h"

namespace gyre {

class CompletionBacklog {
 public:
  // REQUIRES: capacity > 0. Throws std::bad_alloc.
  explicit CompletionBacklog(std::size_t capacity)
      : places_(std::make_unique_for_overwrite<io_uring_cqe[]>(capacity)), capacity_(capacity) {}

  bool isEmpty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  // True when one more can be pushed; makes room for it.
  bool makeRoom() noexcept { return size_ < capacity_ || grow(); }
  // REQUIRES: makeRoom().
  void push(const io_uring_cqe& cqe) noexcept { places_[(first_ + size_++) % capacity_] = cqe; }
  // Takes the oldest out; the number of them.
  std::size_t take(std::span<io_uring_cqe> into) noexcept {
    const std::size_t count = std::min(size_, into.size());
    for (std::size_t i = 0; i < count; ++i) into[i] = places_[(first_ + i) % capacity_];
    first_ = (first_ + count) % capacity_;
    size_ -= count;
    return count;
  }

 private:
  bool grow() noexcept {
    std::unique_ptr<io_uring_cqe[]> places(new (std::nothrow) io_uring_cqe[2 * capacity_]);
    if (places == nullptr) return false;
    const std::size_t size = size_;
    take({places.get(), size});
    places_ = std::move(places);
    capacity_ *= 2;
    first_ = 0;
    size_ = size;
    return true;
  }

  std::unique_ptr<io_uring_cqe[]> places_;
  std::size_t capacity_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace gyre
