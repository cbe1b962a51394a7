#include "support/ConformanceKernelWorld.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace gyre {
namespace {

class KernelPeer final : public ConformancePeer {
 public:
  explicit KernelPeer(UniqueFd fd) : fd_(std::move(fd)) {}

  std::size_t sendSome(std::string_view bytes) override {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }

  bool receiveSome(std::string& into, std::size_t limit) override {
    const std::size_t before = into.size();
    into.resize(before + limit);
    const ssize_t got = ::recv(fd_.get(), into.data() + before, limit, MSG_DONTWAIT);
    if (got == 0) hasEnded_ = true;
    if (got < 0 && errno != EAGAIN) error_ = errno;
    into.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
    return got > 0;
  }

  bool hasEnded() const override { return hasEnded_; }
  int error() const override { return error_; }
  void halfClose() override { ::shutdown(fd_.get(), SHUT_WR); }
  void close() override { fd_.reset(); }

  void reset() override {
    const linger zero{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &zero, sizeof zero);
    fd_.reset();
  }

 private:
  UniqueFd fd_;
  bool hasEnded_ = false;
  int error_ = 0;
};

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

UniqueFd tcpSocket() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) fail("socket");
  return fd;
}

InetAddress nameOf(const UniqueFd& fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(fd.get(), address, &length) != 0) fail("getsockname");
  return InetAddress::fromSockaddr(address, length);
}

UniqueFd bound() {
  UniqueFd fd = tcpSocket();
  const InetAddress any = InetAddress::loopback(0);
  if (::bind(fd.get(), any.sockaddrPtr(), any.length()) != 0) fail("bind");
  return fd;
}

UniqueFd listening(int backlog) {
  UniqueFd fd = bound();
  if (::listen(fd.get(), backlog) != 0) fail("listen");
  return fd;
}

void setBuffer(const UniqueFd& fd, int option, int bytes) {
  if (bytes > 0) ::setsockopt(fd.get(), SOL_SOCKET, option, &bytes, sizeof bytes);
}

}  // namespace

std::unique_ptr<ConformancePeer> makeKernelPeer(UniqueFd fd) {
  return std::make_unique<KernelPeer>(std::move(fd));
}

TcpPair makeTcpPair() {
  const UniqueFd listener = listening(1);
  const InetAddress address = nameOf(listener);
  UniqueFd far = tcpSocket();
  if (::connect(far.get(), address.sockaddrPtr(), address.length()) != 0) fail("connect");
  UniqueFd near(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!near) fail("accept4");
  return {std::move(near), std::move(far)};
}

ConformanceKernelWorld::ConformanceKernelWorld(Factory factory, ProactorOptions options)
    : factory_(factory), options_(std::move(options)) {}

// The near socket is a blocking one: an engine must not rely on O_NONBLOCK.
ConformanceLink ConformanceKernelWorld::link(Proactor& proactor, int bufferBytes) {
  acceptingAddress();
  UniqueFd far = tcpSocket();
  setBuffer(far, SO_RCVBUF, bufferBytes);
  const InetAddress address = nameOf(listener_);
  if (::connect(far.get(), address.sockaddrPtr(), address.length()) != 0) fail("connect");
  UniqueFd near(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!near) fail("accept4");
  setBuffer(near, SO_SNDBUF, bufferBytes);
  return {proactor.adopt(near.release()), makeKernelPeer(std::move(far))};
}

std::unique_ptr<ConformancePeer> ConformanceKernelWorld::connectTo(const InetAddress& address) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) fail("socket");
  if (::connect(fd.get(), address.sockaddrPtr(), address.length()) != 0) fail("connect");
  return makeKernelPeer(std::move(fd));
}

std::unique_ptr<ConformancePeer> ConformanceKernelWorld::takeClient() {
  pollfd one{listener_.get(), POLLIN, 0};
  if (::poll(&one, 1, 0) != 1) return nullptr;
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd) fail("accept4");
  return makeKernelPeer(std::move(fd));
}

InetAddress ConformanceKernelWorld::acceptingAddress() {
  if (!listener_) listener_ = listening(SOMAXCONN);
  return nameOf(listener_);
}

InetAddress ConformanceKernelWorld::refusingAddress() {
  if (!refusing_) refusing_ = bound();
  return nameOf(refusing_);
}

// A full queue: the kernel drops further SYNs, and who connects repeats them.
InetAddress ConformanceKernelWorld::silentAddress() {
  if (!silent_) silent_ = listening(0);
  const InetAddress address = nameOf(silent_);
  pollfd connected{-1, POLLOUT, 0};
  do {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) fail("socket");
    ::connect(fd.get(), address.sockaddrPtr(), address.length());
    connected.fd = fd.get();
    silentQueue_.push_back(std::move(fd));
  } while (::poll(&connected, 1, 0) == 1);
  return address;
}

InetAddress ConformanceKernelWorld::fullUnixAddress() {
  if (!fullUnix_) {
    fullUnix_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fullUnix_) fail("socket");
    // Only a family: the kernel chooses an abstract name.
    const sockaddr any{AF_UNIX, {}};
    if (::bind(fullUnix_.get(), &any, sizeof(sa_family_t)) != 0) fail("bind");
    if (::listen(fullUnix_.get(), 0) != 0) fail("listen");
  }
  const InetAddress address = nameOf(fullUnix_);
  int error = 0;
  while (error == 0) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) fail("socket");
    error = ::connect(fd.get(), address.sockaddrPtr(), address.length()) == 0 ? 0 : errno;
    if (error == 0) fullUnixQueue_.push_back(std::move(fd));
  }
  if (error != EAGAIN) fail("connect");
  return address;
}

void ConformanceKernelWorld::takeFromFullUnix() {
  if (!UniqueFd(::accept4(fullUnix_.get(), nullptr, nullptr, SOCK_CLOEXEC))) fail("accept4");
}

std::string patternBytes(std::size_t size, std::size_t offset) {
  static const std::string period = [] {
    std::string bytes(4093, '\0');  // a prime
    std::uint32_t state = 1;
    for (char& byte : bytes) {
      state = state * 1664525 + 1013904223;
      byte = static_cast<char>(state >> 24);
    }
    return bytes;
  }();
  std::string bytes;
  bytes.reserve(size);
  offset %= period.size();
  while (bytes.size() < size) {
    bytes.append(period, offset, size - bytes.size());
    offset = 0;
  }
  return bytes;
}

}  // namespace gyre
