#include "proactor/KernelProactor.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <utility>

#include "base/LogFormat.h"
#include "proactor/BindUnix.h"
#include "proactor/DescriptorPressure.h"
#include "proactor/RawCall.h"
#include "proactor/SocketErrors.h"

namespace gyre {
namespace {

void enable(int fd, int level, int option, int value) {
  // Failing is harmless for each option set here: the socket works without it.
  ::setsockopt(fd, level, option, &value, sizeof value);
}

int bindListener(int fd, const InetAddress& address, const ListenOptions& options) {
  if (address.isUnix()) return bindUnix(fd, address, options.unixMode);
  return ::bind(fd, address.sockaddrPtr(), address.length()) == 0 ? 0 : errno;
}

InetAddress addressBy(int (*call)(int, sockaddr*, socklen_t*), int fd) noexcept {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (call(fd, address, &length) != 0) return InetAddress();
  return InetAddress::fromSockaddr(address, length);
}

}  // namespace

Proactor::~Proactor() {
  GYRE_CHECK(operationsInFlight_ == 0,
             "a Proactor was destroyed with operations in flight: close what started them first");
}

KernelProactor::KernelProactor() : wakeFd_(::eventfd(0, EFD_CLOEXEC)) {
  if (!wakeFd_) throwSetupError(errno, "cannot create an eventfd", descriptorCure(errno));
}

void KernelProactor::wake() noexcept {
  // seq_cst pairs with beginSleep: either the sleeper sees Woken, or we see Sleeping and write.
  if (wake_.exchange(Wake::Woken, std::memory_order_seq_cst) != Wake::Sleeping) return;
  const std::uint64_t one = 1;
  // Cannot fail: the counter is read long before it could overflow.
  [[maybe_unused]] const ssize_t written = ::write(wakeFd_.get(), &one, sizeof one);
}

bool KernelProactor::beginSleep() noexcept {
  Wake expected = Wake::Running;
  slept_ = wake_.compare_exchange_strong(expected, Wake::Sleeping, std::memory_order_seq_cst);
  return slept_;
}

void KernelProactor::endSleep() noexcept {
  const TimePoint wokenBefore = std::exchange(wokenAt_, now());
  const std::uint64_t countBefore = std::exchange(wokenCount_, cycleCount());
  if (wokenBefore != TimePoint()) bookBusy(wokenAt_ - wokenBefore, countBefore);
  if (wake_.load(std::memory_order_relaxed) == Wake::Running) return;
  const Wake before = wake_.exchange(Wake::Running, std::memory_order_seq_cst);
  // Whoever found us Sleeping has written the eventfd.
  if (std::exchange(slept_, false) && before == Wake::Woken) counters_.wakeups.add();
}

// The span since the last wake-up, of which it was busy until noteBusy().
void KernelProactor::bookBusy(Duration span, std::uint64_t countBefore) noexcept {
  const auto all = static_cast<std::int64_t>(wokenCount_ - countBefore);
  const auto worked = static_cast<std::int64_t>(busyUntil_ - countBefore);
  if (worked <= 0 || worked > all) return;
  const double share = static_cast<double>(worked) / static_cast<double>(all);
  const auto busy = static_cast<std::uint64_t>(static_cast<double>(span.count()) * share);
  counters_.busy.add(busy);
  counters_.lagMax.raiseTo(busy);
}

void Proactor::endRun() noexcept {
  runsBehind_ = 0;
  caughtUpAt_ = taken_;
}

// A loop that is never through still has timeouts: each operation has had its turn twice after so
// many runs, also one that has to wait behind those that have received nothing yet.
void Proactor::endRunBehind(std::size_t perRun) noexcept {
  constexpr std::size_t kMore = 10;
  if (runsBehind_++ == 0) takenFirst_ = taken_;
  if (runsBehind_ <= 2 * operationsInFlight_ / perRun + kMore) return;
  runsBehind_ = 0;
  caughtUpAt_ = takenFirst_;
}

// As steady_clock, without the way through the C++ library.
TimePoint KernelProactor::now() const noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return TimePoint(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

std::uint64_t KernelProactor::random() noexcept {
  std::uint64_t value = 0;
  // Up to 256 bytes getrandom neither blocks (once the pool is ready) nor returns short.
  [[maybe_unused]] const ssize_t got = ::getrandom(&value, sizeof value, 0);
  return value;
}

SocketHandle KernelProactor::listen(const InetAddress& address, const ListenOptions& options) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | socketFlags(), 0));
  if (!fd) throwListenError(errno, address);
  if (!address.isUnix()) {
    enable(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    enable(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);  // inherited by every accepted socket
    if (options.reusePort) enable(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    if (address.family() == AF_INET6) {
      enable(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, options.v6Only ? 1 : 0);
    }
  }
  const int error = bindListener(fd.get(), address, options);
  if (error != 0) throwListenError(error, address);
  if (::listen(fd.get(), options.backlog) != 0) throwListenError(errno, address);
  return SocketHandle(fd.release());
}

SocketHandle KernelProactor::socket(int family) noexcept {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | socketFlags(), 0);
  if (fd < 0) return SocketHandle::failed(errno);
  if (family != AF_UNIX) enable(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return SocketHandle(fd);
}

SocketHandle KernelProactor::adopt(int fd) noexcept {
  if (fd < 0) return SocketHandle::failed(EBADF);
  // A listener gets what listen() gives, but for what only bind(2) looks at and for the backlog,
  // which is its opener's affair. The flags of its description belong to every process that shares
  // it, and stay as they are.
  int listens = 0;
  socklen_t size = sizeof listens;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    enable(fd, IPPROTO_TCP, TCP_NODELAY, 1);  // EOPNOTSUPP for a unix listener
  }
  return SocketHandle(fd);
}

int KernelProactor::setOption(SocketHandle socket, SocketOption option, int value) noexcept {
  const linger lingerZero{1, 0};
  int level = SOL_SOCKET;
  int name = 0;
  const void* data = &value;
  socklen_t size = sizeof value;
  switch (option) {
    case SocketOption::NoDelay:
      level = IPPROTO_TCP;
      name = TCP_NODELAY;
      break;
    case SocketOption::KeepAlive: name = SO_KEEPALIVE; break;
    case SocketOption::SendBuffer: name = SO_SNDBUF; break;
    case SocketOption::ReceiveBuffer: name = SO_RCVBUF; break;
    case SocketOption::LingerZero:
      name = SO_LINGER;
      data = &lingerZero;
      size = sizeof lingerZero;
      break;
  }
  return ::setsockopt(socket.value(), level, name, data, size) == 0 ? 0 : errno;
}

InetAddress KernelProactor::localAddress(SocketHandle socket) const noexcept {
  return addressBy([](int fd, sockaddr* a, socklen_t* n) { return ::getsockname(fd, a, n); },
                   socket.value());
}

InetAddress KernelProactor::peerAddress(SocketHandle socket) const noexcept {
  return addressBy([](int fd, sockaddr* a, socklen_t* n) { return ::getpeername(fd, a, n); },
                   socket.value());
}

IoResult KernelProactor::trySend(SocketHandle socket, std::string_view bytes) noexcept {
  const auto index = static_cast<std::size_t>(socket.value());
  GYRE_CHECK(index >= sockets_.size() || !(sockets_[index].sending || sockets_[index].cancelled),
             "trySend with a send in flight or after cancelAll");
  long sent = 0;
  do {
    counters_.directSends.add();
    sent = rawCall(SYS_sendto, socket.value(), reinterpret_cast<long>(bytes.data()),
                   static_cast<long>(bytes.size()), MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
  } while (sent == -EINTR);
  if (sent < 0) return {.error = sent == -EAGAIN ? 0 : static_cast<int>(-sent)};
  counters_.bytesSent.add(static_cast<std::size_t>(sent));
  return {.bytes = static_cast<std::size_t>(sent)};
}

int KernelProactor::shutdownWrite(SocketHandle socket) noexcept {
  const auto index = static_cast<std::size_t>(socket.value());
  GYRE_CHECK(index >= sockets_.size() || !sockets_[index].sending,
             "shutdownWrite with a send in flight: that send would fail with EPIPE");
  return ::shutdown(socket.value(), SHUT_WR) == 0 ? 0 : errno;
}

int KernelProactor::shutdownBoth(SocketHandle socket) noexcept {
  return ::shutdown(socket.value(), SHUT_RDWR) == 0 ? 0 : errno;
}

void KernelProactor::close(SocketHandle socket) noexcept {
  const auto index = static_cast<std::size_t>(socket.value());
  if (index < sockets_.size()) {
    GYRE_CHECK(sockets_[index].operations == 0,
               "a socket was closed with an operation in flight: join it first");
    sockets_[index] = SocketState{};
  }
  forget(socket);
  ::close(socket.value());
  notifyDescriptorReleased();
}

bool KernelProactor::beginOperation(IoContext& context, IoKind kind, SocketHandle socket) noexcept {
  GYRE_CHECK(socket.isValid(), "an operation was started on a socket that is not open");
  context.start(kind, socket);
  ++operationsInFlight_;
  const auto index = static_cast<std::size_t>(socket.value());
  if (index >= sockets_.size()) {
    try {
      sockets_.resize(index + 1);  // vector grows by doubling
    } catch (const std::bad_alloc&) {
      context.state().error = kUncounted;
      return false;
    }
  }
  SocketState& state = sockets_[index];
  GYRE_CHECK(!state.cancelled, "an operation was started on a socket after cancelAll");
  GYRE_CHECK(kind != IoKind::Send || !state.sending, "a second send was started on one socket");
  ++state.operations;
  if (kind == IoKind::Send) state.sending = true;
  return true;
}

void KernelProactor::endOperation(IoContext& context, IoResult result) {
  if (context.state().error != kUncounted) {
    SocketState& state = sockets_[static_cast<std::size_t>(context.socket().value())];
    --state.operations;
    if (context.kind() == IoKind::Send) state.sending = false;
  }
  --operationsInFlight_;
  counters_.completed(context.kind()).add();
  result.more = false;
  context.complete(result);
}

int KernelProactor::connectWithoutWaiting(SocketHandle socket, const InetAddress& to) noexcept {
  const int fd = socket.value();
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return errno;
  const int error = ::connect(fd, to.sockaddrPtr(), to.length()) == 0 ? 0 : errno;
  ::fcntl(fd, F_SETFL, flags);
  return error;
}

void KernelProactor::noteFailure(int error) noexcept {
  if (error != ENOMEM) return;
  counters_.operationsNoMemory.add();
  if (wokenAt() < noMemoryLogDue_) return;
  noMemoryLogDue_ = wokenAt() + std::chrono::seconds(1);
  logError("memory is out: an operation cannot be started, and its connection will be closed");
}

void KernelProactor::setFailure(IoContext& context, int error) noexcept {
  noteFailure(error);
  if (context.state().error != kUncounted) {
    context.state().error = static_cast<std::int16_t>(error);
  }
}

int KernelProactor::failureOf(IoContext& context) noexcept {
  const int error = context.state().error;
  return error == kUncounted ? ENOMEM : error;
}

bool KernelProactor::isCancelled(const IoContext& context) const noexcept {
  if (context.isCancelRequested()) return true;
  const auto index = static_cast<std::size_t>(context.socket().value());
  return index < sockets_.size() && sockets_[index].cancelled;
}

void KernelProactor::markCancelled(SocketHandle socket) noexcept {
  const auto index = static_cast<std::size_t>(socket.value());
  if (index < sockets_.size()) sockets_[index].cancelled = true;
}

}  // namespace gyre
