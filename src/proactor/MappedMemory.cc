#include "proactor/MappedMemory.h"

#include <sys/mman.h>

namespace gyre {

MappedMemory MappedMemory::map(std::size_t size, int fd, long long offset) noexcept {
  MappedMemory memory;
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, offset);
  if (data == MAP_FAILED) return memory;
  // A child that shared ring or buffer memory with us would corrupt both.
  ::madvise(data, size, MADV_DONTFORK);
  memory.data_ = static_cast<char*>(data);
  memory.size_ = size;
  return memory;
}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedMemory::~MappedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace gyre
