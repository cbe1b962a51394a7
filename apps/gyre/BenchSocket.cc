#include "BenchSocket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace gyre {

namespace {

// A client address has some 28 000 ports; the loopback network has many addresses.
constexpr std::size_t kConnectionsPerSource = 16'000;

// Like Proactor::socket, with a source address of its own.
int boundSocket(in_addr_t source, bool blocks) noexcept {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (blocks ? 0 : SOCK_NONBLOCK), 0);
  if (fd < 0) return -errno;
  const int one = 1;
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(source);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0) return fd;
  const int error = errno;
  ::close(fd);
  return -error;
}

}  // namespace

SocketHandle makeBenchSocket(Proactor& proactor, const InetAddress& to,
                             std::size_t number) noexcept {
  const std::size_t source = number / kConnectionsPerSource;
  if (source == 0 || to.family() != AF_INET || !to.isLoopback()) {
    return proactor.socket(to.family());
  }
  const bool blocks = proactor.name() != "epoll";
  const int fd = boundSocket(INADDR_LOOPBACK + static_cast<in_addr_t>(source), blocks);
  return fd < 0 ? SocketHandle::failed(-fd) : proactor.adopt(fd);
}

}  // namespace gyre
