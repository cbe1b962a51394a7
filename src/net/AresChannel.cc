#include "net/AresChannel.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <new>
#include <utility>

#include "base/LogFormat.h"
#include "net/ResolverSocket.h"

namespace gyre {
namespace {

ResolveError errorOf(int status) noexcept {
  switch (status) {
    case ARES_ENODATA:
    case ARES_ENOTFOUND: return ResolveError::NotFound;
    case ARES_EBADNAME:
    case ARES_EBADSTR: return ResolveError::InvalidName;
    case ARES_ETIMEOUT: return ResolveError::TimedOut;
    case ARES_ECONNREFUSED: return ResolveError::Unreachable;
    case ARES_EBADRESP: return ResolveError::BadAnswer;
    case ARES_ENOMEM: return ResolveError::OutOfMemory;
    default: return ResolveError::ServerFailed;
  }
}

[[noreturn]] void throwAresError(const char* what, int status) {
  const int error = status == ARES_ENOMEM ? ENOMEM : EINVAL;
  throw std::system_error(error, std::generic_category(),
                          std::string(what) + " (" + ::ares_strerror(status) + ")");
}

// c-ares doubles it with each try, in an int.
int tryMilliseconds(const ResolverOptions& options) noexcept {
  const std::int64_t most = std::numeric_limits<int>::max() >> std::min(options.tries, 30);
  const Duration limit =
      std::max<Duration>(options.tryTimeout.limit(), std::chrono::milliseconds(1));
  return static_cast<int>(std::min<std::int64_t>(TimeSpan(limit).milliseconds().count(), most));
}

InetAddress addressOf(const ares_addrinfo_node& node, std::uint16_t port) noexcept {
  sockaddr_storage storage{};
  const std::size_t size = std::min<std::size_t>(node.ai_addrlen, sizeof storage);
  std::copy_n(reinterpret_cast<const char*>(node.ai_addr), size, reinterpret_cast<char*>(&storage));
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (node.ai_family == AF_INET) reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
  if (node.ai_family == AF_INET6) reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
  return InetAddress::fromSockaddr(address, static_cast<socklen_t>(size));
}

// --- The sockets of c-ares; descriptors are ours until c-ares has let go and no poll is in flight

ares_socket_t openSocket(int family, int type, int protocol, void*) {
  return ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

int connectSocket(ares_socket_t fd, const sockaddr* address, ares_socklen_t length, void*) {
  return ::connect(fd, address, length);
}

ares_ssize_t receiveFrom(ares_socket_t fd, void* into, size_t size, int flags, sockaddr* from,
                         ares_socklen_t* length, void*) {
  return ::recvfrom(fd, into, size, flags, from, length);
}

// Not writev: a name server that has hung up must not raise SIGPIPE.
ares_ssize_t sendVector(ares_socket_t fd, const iovec* slices, int count, void*) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(slices);
  message.msg_iovlen = static_cast<std::size_t>(count);
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

}  // namespace

struct AresChannel::Question {
  AresChannel* channel;
  std::uint64_t query;
  std::uint16_t port;
};

AresChannel::AresChannel(EventLoop* loop, const ResolverOptions& options, Answer answer)
    : loop_(loop), answer_(std::move(answer)) {
  static const int libraryStatus = ::ares_library_init(ARES_LIB_INIT_ALL);
  if (libraryStatus != ARES_SUCCESS) throwAresError("cannot start c-ares", libraryStatus);
  ares_options ares{};
  ares.timeout = tryMilliseconds(options);
  ares.tries = options.tries;
  ares.sock_state_cb_data = this;
  ares.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    const int events = (readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0);
    static_cast<AresChannel*>(self)->watch(fd, static_cast<std::uint32_t>(events));
  };
  const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  const int status = ::ares_init_options(&channel_, &ares, mask);
  if (status != ARES_SUCCESS) throwAresError("cannot make a resolver", status);
  useOwnSockets();
  useServers(options.servers);
}

AresChannel::~AresChannel() {
  ::ares_destroy(channel_);  // answers what is pending, and closes the sockets
  if (timer_.isValid()) loop_->cancel(timer_);
}

void AresChannel::useOwnSockets() {
  // c-ares keeps the pointer.
  static const ares_socket_functions functions = {
      &openSocket,
      [](ares_socket_t fd, void* self) { return static_cast<AresChannel*>(self)->close(fd); },
      &connectSocket, &receiveFrom, &sendVector};
  ::ares_set_socket_functions(channel_, &functions, this);
}

void AresChannel::useServers(const std::vector<InetAddress>& servers) {
  if (servers.empty()) return;
  std::string list;
  for (const InetAddress& server : servers) list += (list.empty() ? "" : ",") + server.toString();
  const int status = ::ares_set_servers_ports_csv(channel_, list.c_str());
  if (status == ARES_SUCCESS) return;
  ::ares_destroy(channel_);
  throwAresError(("not an address of name servers: " + list).c_str(), status);
}

void AresChannel::ask(std::uint64_t query, const HostPort& name) {
  auto question = std::make_unique<Question>(Question{this, query, name.port});
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;  // else each address comes once per type
  // From here on it is given back by handleAnswer.
  ::ares_getaddrinfo(channel_, name.host.c_str(), nullptr, &hints, &AresChannel::handleAnswer,
                     question.release());
  updateTimer();
}

void AresChannel::handleAnswer(void* pointer, int status, int, ares_addrinfo* found) {
  const std::unique_ptr<Question> question(static_cast<Question*>(pointer));
  const std::unique_ptr<ares_addrinfo, decltype(&::ares_freeaddrinfo)> owner(found,
                                                                             &::ares_freeaddrinfo);
  ResolveResult result;
  try {
    const ares_addrinfo_node* node = status == ARES_SUCCESS ? found->nodes : nullptr;
    for (; node != nullptr; node = node->ai_next) {
      result.addresses.push_back(addressOf(*node, question->port));
    }
    if (status != ARES_SUCCESS)
      result.error = errorOf(status);
    else if (result.addresses.empty())
      result.error = ResolveError::NotFound;
  } catch (const std::bad_alloc&) {
    result = {ResolveError::OutOfMemory, {}};
  }
  question->channel->answer_(question->query, std::move(result));
}

void AresChannel::process(ares_socket_t readable, ares_socket_t writable) {
  ::ares_process_fd(channel_, readable, writable);
  updateTimer();
}

void AresChannel::updateTimer() {
  if (timer_.isValid()) loop_->cancel(std::exchange(timer_, {}));
  timeval buffer{};
  const timeval* left = ::ares_timeout(channel_, nullptr, &buffer);
  if (left == nullptr) return;
  // Rounded up: woken just before the time it would find nothing to do.
  const auto delay =
      std::chrono::seconds(left->tv_sec) + std::chrono::milliseconds(left->tv_usec / 1000 + 1);
  try {
    timer_ = loop_->runAfter(delay, [this] {
      timer_ = {};
      process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    });
  } catch (const std::bad_alloc&) {
    logWarn("a name server is waited for without a timeout: out of memory");
  }
}

// A socket is only known from here on: c-ares opens others merely to learn which address of ours
// would be used.
void AresChannel::watch(int fd, std::uint32_t events) {
  const auto isIt = [fd](const auto& socket) { return socket->fd() == fd; };
  const auto place = std::find_if(sockets_.begin(), sockets_.end(), isIt);
  if (place != sockets_.end()) return (*place)->watch(events);
  if (events == 0) return;
  const auto ready = [this](int which, std::uint32_t came) {
    const bool readable = (came & ~static_cast<std::uint32_t>(POLLOUT)) != 0;
    const bool writable = (came & ~static_cast<std::uint32_t>(POLLIN)) != 0;
    process(readable ? which : ARES_SOCKET_BAD, writable ? which : ARES_SOCKET_BAD);
  };
  try {
    sockets_.reserve(sockets_.size() + 1);
    sockets_.push_back(ResolverSocket::open(loop_, fd, ready));
    sockets_.back()->watch(events);
  } catch (const std::bad_alloc&) {
    logWarn("a name server's socket is not watched: out of memory");
  }
}

int AresChannel::close(int fd) {
  const auto isIt = [fd](const auto& socket) { return socket->fd() == fd; };
  const auto place = std::find_if(sockets_.begin(), sockets_.end(), isIt);
  if (place == sockets_.end()) return ::close(fd);
  (*place)->release();
  sockets_.erase(place);
  return 0;
}

}  // namespace gyre
