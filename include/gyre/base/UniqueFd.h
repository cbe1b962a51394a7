// UniqueFd: the one owner of a file descriptor.
#pragma once

#include <utility>

#include "gyre/base/Export.h"

namespace gyre {

class GYRE_API UniqueFd {
 public:
  UniqueFd() noexcept = default;
  // Takes ownership. A negative value, as from a failed system call, owns nothing.
  explicit UniqueFd(int fd) noexcept : fd_(fd < 0 ? kNone : fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd();

  int get() const noexcept { return fd_; }  // -1 when nothing is owned
  explicit operator bool() const noexcept { return fd_ >= 0; }

  // Gives the descriptor up without closing it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, kNone); }

  // Closes what is owned, then owns fd. errno is left as it was.
  // REQUIRES: fd is not the descriptor owned already.
  void reset(int fd = kNone) noexcept;

 private:
  static constexpr int kNone = -1;

  int fd_ = kNone;
};

}  // namespace gyre
