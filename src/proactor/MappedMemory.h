// MappedMemory: an owned mmap region, zeroed, that a fork does not share.
//
// Thread  Any one at a time.
#pragma once

#include <cstddef>
#include <utility>

namespace gyre {

class MappedMemory {
 public:
  MappedMemory() noexcept = default;
  // Maps `size` bytes of `fd` at `offset`, or anonymous memory when fd < 0. Null data on failure,
  // with errno set.
  static MappedMemory map(std::size_t size, int fd = -1, long long offset = 0) noexcept;

  MappedMemory(MappedMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedMemory& operator=(MappedMemory&& other) noexcept;
  ~MappedMemory();

  explicit operator bool() const noexcept { return data_ != nullptr; }
  char* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace gyre
