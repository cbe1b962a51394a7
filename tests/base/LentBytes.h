// LentBytes: bytes to borrow that hold the borrower to its word.
//
// They cannot be written, one byte too far in either direction cannot be read, and once taken back
// nothing of them can be touched: each of these ends the test with a segmentation fault, with and
// without a sanitizer.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <stdexcept>
#include <string_view>

namespace gyre {

class LentBytes {
 public:
  enum class Against { Front, Back };  // the edge of a page that the bytes lie against

  LentBytes(std::string_view bytes, Against edge) : size_(bytes.size()) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t room = (size_ / page + 1) * page;
    mappedSize_ = room + 2 * page;
    mapped_ = ::mmap(nullptr, mappedSize_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) throw std::runtime_error("mmap");
    char* usable = static_cast<char*>(mapped_) + page;
    protect(usable, room, PROT_READ | PROT_WRITE);
    data_ = edge == Against::Front ? usable : usable + room - size_;
    bytes.copy(data_, size_);
    protect(usable, room, PROT_READ);
  }
  ~LentBytes() { ::munmap(mapped_, mappedSize_); }
  LentBytes(const LentBytes&) = delete;
  LentBytes& operator=(const LentBytes&) = delete;

  const char* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool holds(const char* pointer) const { return pointer >= data_ && pointer <= data_ + size_; }

  void takeBack() { protect(mapped_, mappedSize_, PROT_NONE); }

 private:
  static void protect(void* memory, std::size_t size, int protection) {
    if (::mprotect(memory, size, protection) != 0) throw std::runtime_error("mprotect");
  }

  void* mapped_ = nullptr;
  std::size_t mappedSize_ = 0;
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace gyre
