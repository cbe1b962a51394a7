#include "proactor/epoll/EpollSet.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>

#include "proactor/SocketErrors.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Called by number: a C library older than the kernel lacks the wrapper.
int waitNanoseconds(int epollFd, std::span<epoll_event> events, nanoseconds timeout) noexcept {
  const timespec until{static_cast<std::time_t>(timeout.count() / 1'000'000'000),
                       static_cast<long>(timeout.count() % 1'000'000'000)};
  return static_cast<int>(::syscall(SYS_epoll_pwait2, epollFd, events.data(),
                                    static_cast<int>(events.size()), &until, nullptr, 0));
}

int wholeMilliseconds(nanoseconds timeout) noexcept {
  const auto rounded = std::chrono::ceil<milliseconds>(timeout).count();
  return static_cast<int>(std::min<decltype(rounded)>(rounded, std::numeric_limits<int>::max()));
}

}  // namespace

EpollSet::EpollSet() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!fd_) throwSetupError(errno, "cannot create an epoll instance", descriptorCure(errno));
}

int EpollSet::add(int fd, std::uint32_t events, std::uint64_t tag) noexcept {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.u64 = tag;
  return ::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void EpollSet::remove(int fd) noexcept {
  epoll_event ignored{};
  ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, &ignored);
}

std::size_t EpollSet::wait(std::span<epoll_event> events, TimePoint deadline) noexcept {
  int count = 0;
  do {
    count = waitOnce(events, deadline);
  } while (count < 0 && errno == EINTR);
  GYRE_CHECK(count >= 0, "epoll_wait failed: its arguments are wrong");
  return static_cast<std::size_t>(count);
}

int EpollSet::waitOnce(std::span<epoll_event> events, TimePoint deadline) noexcept {
  int timeout = 0;
  if (deadline == kForever) {
    timeout = -1;
  } else if (deadline != kNoWait) {
    const nanoseconds left = deadline - std::chrono::steady_clock::now();
    if (left.count() > 0 && hasNanoseconds_) {
      const int count = waitNanoseconds(fd_.get(), events, left);
      // EPERM: a seccomp filter that does not know the call.
      if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
      hasNanoseconds_ = false;
    }
    timeout = left.count() > 0 ? wholeMilliseconds(left) : 0;
  }
  return ::epoll_wait(fd_.get(), events.data(), static_cast<int>(events.size()), timeout);
}

}  // namespace gyre
