#include "gyre/base/UniqueFd.h"

#include <unistd.h>

#include <cerrno>

#include "gyre/base/Check.h"

namespace gyre {
namespace {

// Linux has released the number whatever close answers (close(2)), so EINTR is not retried: the
// number may already be someone else's.
void closePreservingErrno(int fd) noexcept {
  const int saved = errno;
  const int result = ::close(fd);
  GYRE_DCHECK(result == 0 || errno != EBADF, "a descriptor is closed by its owner only");
  static_cast<void>(result);
  errno = saved;
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  reset(other.release());  // right for itself, too
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) closePreservingErrno(fd_);
}

void UniqueFd::reset(int fd) noexcept {
  GYRE_CHECK(fd < 0 || fd != fd_, "reset to the descriptor that is owned already");
  const int old = std::exchange(fd_, fd < 0 ? kNone : fd);
  if (old >= 0) closePreservingErrno(old);
}

}  // namespace gyre
