// DescriptorRoom: tells when one more batch of accepts could take the last descriptor.
//
// accept(2) answers the lowest free number, so a high one says that many are open. Then an engine
// accepts one by one, and what has been reset already is closed before more is accepted.
//
// Thread  The engine's. RLIMIT_NOFILE is read now and then, not for each accept.
#pragma once

#include <cstddef>

namespace gyre {

class DescriptorRoom {
 public:
  // `batch`: so many are accepted at once at most.
  explicit DescriptorRoom(std::size_t batch) noexcept;

  // A descriptor that was opened just now.
  void note(int fd) noexcept {
    if (fd >= scarceFrom_ || left_ != 0) noteScarce(fd);
  }
  bool isScarce() const noexcept { return left_ != 0; }

 private:
  void noteScarce(int fd) noexcept;
  void readLimit() noexcept;

  const std::size_t batch_;
  int scarceFrom_ = 0;
  int left_ = 0;  // low numbers in a row until it is scarce no more; 0: it is not
  int notedSinceRead_ = 0;
};

}  // namespace gyre
