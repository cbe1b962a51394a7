#include "BenchCountFile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "gyre/base/UniqueFd.h"

namespace gyre {

namespace {

[[noreturn]] void refuse(const std::string& path) {
  throw std::system_error(errno, std::generic_category(), "--count-in " + path);
}

}  // namespace

BenchCountFile::BenchCountFile(const std::string& path) {
  if (path.empty()) return;
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd.get() < 0 || ::ftruncate(fd.get(), sizeof(Counter)) < 0) refuse(path);
  void* at = ::mmap(nullptr, sizeof(Counter), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) refuse(path);
  counter_ = ::new (at) Counter;
}

BenchCountFile::~BenchCountFile() {
  if (counter_ != nullptr) ::munmap(counter_, sizeof(Counter));
}

}  // namespace gyre
