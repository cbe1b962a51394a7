#include "names/AresChannel.h"

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
#include "gyre/base/Check.h"
#include "names/ResolverSocket.h"

namespace gyre {
namespace {

ResolveError errorOf(int status) noexcept {
  switch (status) {
    case ARES_SUCCESS:  // and no address
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

using FoundAddresses = std::unique_ptr<ares_addrinfo, decltype(&::ares_freeaddrinfo)>;

std::vector<InetAddress> addressesOf(const ares_addrinfo* found, std::uint16_t port) {
  std::vector<InetAddress> addresses;
  const ares_addrinfo_node* node = found != nullptr ? found->nodes : nullptr;
  for (; node != nullptr; node = node->ai_next) addresses.push_back(addressOf(*node, port));
  return addresses;
}

ares_addrinfo_hints hintsFor(AddressFamily family) noexcept {
  ares_addrinfo_hints hints{};
  hints.ai_family = family == AddressFamily::V4   ? AF_INET
                    : family == AddressFamily::V6 ? AF_INET6
                                                  : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;  // else each address comes once per type
  return hints;
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

struct AresChannel::Pending {
  AresChannel* channel;
  Question question;
};

AresChannel::Channel AresChannel::makeChannel(ares_options options, int mask, const char* lookups) {
  static const int libraryStatus = ::ares_library_init(ARES_LIB_INIT_ALL);
  if (libraryStatus != ARES_SUCCESS) throwAresError("cannot start c-ares", libraryStatus);
  std::string kinds = lookups;
  options.lookups = kinds.data();  // copied
  ares_channel channel = nullptr;
  const int status = ::ares_init_options(&channel, &options, mask | ARES_OPT_LOOKUPS);
  if (status != ARES_SUCCESS) throwAresError("cannot make a resolver", status);
  return Channel(channel);
}

AresChannel::AresChannel(EventLoop* loop, const ResolverOptions& options, Answer answer)
    : loop_(loop),
      answer_(std::move(answer)),
      hosts_(makeChannel({}, 0, "f")),
      timer_(loop, [this] { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }) {
  GYRE_CHECK(options.tries > 0, "a resolver tries at least once");
  ares_options ares{};
  ares.timeout = tryMilliseconds(options);
  ares.tries = options.tries;
  ares.sock_state_cb_data = this;
  ares.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    const int events = (readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0);
    static_cast<AresChannel*>(self)->watch(fd, static_cast<std::uint32_t>(events));
  };
  const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  channel_ = makeChannel(ares, mask, "b");
  readSearchList();
  useOwnSockets();
  useServers(options.servers);
}

AresChannel::~AresChannel() {
  channel_.reset();  // answers what is pending, and closes the sockets
}

void AresChannel::readSearchList() {
  ares_options saved{};
  int mask = 0;
  const int status = ::ares_save_options(channel_.get(), &saved, &mask);
  const std::unique_ptr<ares_options, decltype(&::ares_destroy_options)> owner(
      &saved, &::ares_destroy_options);
  if (status != ARES_SUCCESS) throwAresError("cannot read the search list", status);
  searchList_.dotsMin = saved.ndots;
  for (int i = 0; i < saved.ndomains; ++i) searchList_.domains.emplace_back(saved.domains[i]);
}

void AresChannel::useOwnSockets() {
  // c-ares keeps the pointer.
  static const ares_socket_functions functions = {
      &openSocket,
      [](ares_socket_t fd, void* self) { return static_cast<AresChannel*>(self)->close(fd); },
      &connectSocket, &receiveFrom, &sendVector};
  ::ares_set_socket_functions(channel_.get(), &functions, this);
}

void AresChannel::useServers(const std::vector<InetAddress>& servers) {
  if (servers.empty()) return;
  std::string list;
  for (const InetAddress& server : servers) list += (list.empty() ? "" : ",") + server.toString();
  const int status = ::ares_set_servers_ports_csv(channel_.get(), list.c_str());
  if (status != ARES_SUCCESS) {
    throwAresError(("not an address of name servers: " + list).c_str(), status);
  }
}

void AresChannel::ask(const Question& question, const std::string& name) {
  auto pending = std::make_unique<Pending>(Pending{this, question});
  const ares_addrinfo_hints hints = hintsFor(question.family);
  // From here on it is given back by handleAnswer.
  ::ares_getaddrinfo(channel_.get(), name.c_str(), nullptr, &hints, &AresChannel::handleAnswer,
                     pending.release());
  updateTimer();
}

void AresChannel::handleAnswer(void* pointer, int status, int, ares_addrinfo* found) {
  const std::unique_ptr<Pending> pending(static_cast<Pending*>(pointer));
  const FoundAddresses owner(found, &::ares_freeaddrinfo);
  FamilyAnswer answer;
  try {
    if (status == ARES_SUCCESS) answer.addresses = addressesOf(found, pending->question.port);
    if (answer.addresses.empty()) answer.error = errorOf(status);
    answer.isNoSuchName = status == ARES_ENOTFOUND;
  } catch (const std::bad_alloc&) {
    answer = {ResolveError::OutOfMemory, false, {}};
  }
  pending->channel->answer_(pending->question, std::move(answer));
}

std::vector<InetAddress> AresChannel::lookUpHosts(const HostPort& name, AddressFamily family) {
  struct Found {
    int status = ARES_ENOTFOUND;
    FoundAddresses addresses{nullptr, &::ares_freeaddrinfo};
  } found;
  const ares_addrinfo_hints hints = hintsFor(family);
  const auto take = [](void* into, int status, int, ares_addrinfo* addresses) {
    static_cast<Found*>(into)->status = status;
    static_cast<Found*>(into)->addresses.reset(addresses);
  };
  ::ares_getaddrinfo(hosts_.get(), name.host.c_str(), nullptr, &hints, take, &found);
  if (found.status == ARES_ENOMEM) throw std::bad_alloc();
  if (found.status != ARES_SUCCESS) return {};
  return addressesOf(found.addresses.get(), name.port);
}

void AresChannel::process(ares_socket_t readable, ares_socket_t writable) {
  ::ares_process_fd(channel_.get(), readable, writable);
  updateTimer();
}

void AresChannel::updateTimer() {
  timer_.unset();
  timeval buffer{};
  const timeval* left = ::ares_timeout(channel_.get(), nullptr, &buffer);
  if (left == nullptr) return;
  // Rounded up: woken just before the time it would find nothing to do.
  timer_.set(std::chrono::seconds(left->tv_sec) +
             std::chrono::milliseconds(left->tv_usec / 1000 + 1));
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
