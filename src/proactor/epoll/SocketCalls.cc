#include "proactor/epoll/SocketCalls.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace gyre {
namespace {

template <typename Call>
auto uninterrupted(Call call) noexcept {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  if (result >= 0) return result;
  GYRE_CHECK(errno != EFAULT, "the kernel was given memory that is gone: it was freed in flight");
  return static_cast<decltype(result)>(-errno);
}

}  // namespace

int setNonBlocking(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  if ((flags & O_NONBLOCK) != 0) return 0;
  return ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

int acceptNow(int listener) noexcept {
  return uninterrupted(
      [=] { return ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); });
}

ssize_t receiveNow(int fd, char* into, std::size_t size) noexcept {
  return uninterrupted([=] { return ::recv(fd, into, size, MSG_DONTWAIT); });
}

ssize_t sendNow(int fd, const Transfer& transfer) noexcept {
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (transfer.count == 1) {
    const iovec& slice = *transfer.slices;
    return uninterrupted([&] { return ::send(fd, slice.iov_base, slice.iov_len, kFlags); });
  }
  msghdr message{};
  message.msg_iov = transfer.slices;
  message.msg_iovlen = transfer.count;
  return uninterrupted([&] { return ::sendmsg(fd, &message, kFlags); });
}

ssize_t readNow(int fd, char* into, std::size_t size) noexcept {
  if (pollNow(fd, POLLIN) == 0) return -EAGAIN;
  return uninterrupted([=] { return ::read(fd, into, size); });
}

int connectNow(int fd, const InetAddress& to) noexcept {
  const int error = setNonBlocking(fd);
  if (error < 0) return error;
  // A signal does not stop it: EINTR is "in progress", and a second call would answer EALREADY.
  if (::connect(fd, to.sockaddrPtr(), to.length()) == 0) return 0;
  return errno == EINTR ? -EINPROGRESS : -errno;
}

int connectResult(int fd) noexcept {
  // SO_ERROR alone is 0 also while it goes on.
  if (pollNow(fd, POLLOUT) == 0) return -EINPROGRESS;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return -errno;
  if (error == 0) return 0;
  // As a failed connect(2) that waits does: without it the next attempt answers ECONNABORTED.
  const sockaddr nobody{AF_UNSPEC, {}};
  ::connect(fd, &nobody, sizeof nobody);
  return -error;
}

std::uint32_t pollNow(int fd, std::uint32_t events) noexcept {
  pollfd one{fd, static_cast<short>(events), 0};
  const int ready = uninterrupted([&] { return ::poll(&one, 1, 0); });
  return ready > 0 ? static_cast<std::uint16_t>(one.revents) : 0;
}

bool isPlainTcp(int fd) noexcept {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  const int failed = ::getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
  return failed == 0 && protocol == IPPROTO_TCP;
}

}  // namespace gyre
