#include "sim/SimTcp.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace gyre {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kSynRetries = 6;  // net.ipv4.tcp_syn_retries: about 127 s
constexpr Duration kConnectionAge = seconds(2);

InetAddress withPort(const InetAddress& address, std::uint16_t port) {
  if (address.family() == AF_INET6) {
    auto v6 = *reinterpret_cast<const sockaddr_in6*>(address.sockaddrPtr());
    v6.sin6_port = htons(port);
    return InetAddress::fromSockaddr(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  }
  auto v4 = *reinterpret_cast<const sockaddr_in*>(address.sockaddrPtr());
  v4.sin_port = htons(port);
  return InetAddress::fromSockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
}

InetAddress loopbackOf(const InetAddress& to, std::uint16_t port) {
  return to.family() == AF_INET6 ? InetAddress::loopbackV6(port) : InetAddress::loopback(port);
}

InetAddress unnamedUnix() {
  const sa_family_t family = AF_UNIX;
  return InetAddress::fromSockaddr(reinterpret_cast<const sockaddr*>(&family), sizeof family);
}

bool accepts(const SimListener& listener, const InetAddress& to) {
  const InetAddress& own = listener.address;
  if (own == to) return true;
  if (own.isUnix() || to.isUnix() || own.port() != to.port() || !own.isUnspecified()) return false;
  const bool dual = own.family() == AF_INET6 && !listener.options.v6Only;
  return own.family() == to.family() || dual;
}

// TCP has no broadcast.
bool hasRoute(const InetAddress& to) {
  if (to.family() != AF_INET) return true;
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(to.sockaddrPtr());
  return v4->sin_addr.s_addr != htonl(INADDR_BROADCAST);
}

[[noreturn]] void throwInUse(const InetAddress& address) {
  throw std::system_error(EADDRINUSE, std::generic_category(),
                          "cannot listen on " + address.toString() +
                              " (another simulated socket listens there: close it, or choose "
                              "another port)");
}

}  // namespace

// --- Sockets

SimSocket* SimTcp::find(SocketHandle handle) const noexcept {
  const auto index = static_cast<std::size_t>(handle.value());
  return handle.isValid() && index < sockets_.size() ? sockets_[index].get() : nullptr;
}

SimSocket& SimTcp::get(SocketHandle handle) const {
  SimSocket* socket = find(handle);
  GYRE_CHECK(socket != nullptr, "a socket handle was used that is not open: closed before?");
  return *socket;
}

SimSocket& SimTcp::open() {
  sockets_.push_back(std::make_unique<SimSocket>(static_cast<std::int32_t>(sockets_.size())));
  ++world_.statistics().socketsOpened;
  return *sockets_.back();
}

SimSocket& SimTcp::openStream() { return open(); }

SimSocket& SimTcp::openAccepted(std::shared_ptr<SimLink> link, const SimSocket& listener) {
  SimSocket& socket = open();
  socket.side = SimSide::Acceptor;
  socket.sendBuffer = listener.sendBuffer;
  socket.receiveBuffer = listener.receiveBuffer;
  socket.link = std::move(link);
  socket.link->setWatcher(socket.side, &socket);
  applyBuffers(socket);
  return socket;
}

void SimTcp::applyBuffers(SimSocket& socket) {
  if (!socket.link) return;
  if (socket.sendBuffer > 0) socket.link->setSendBuffer(socket.side, socket.sendBuffer);
  if (socket.receiveBuffer > 0) socket.link->setReceiveBuffer(socket.side, socket.receiveBuffer);
}

void SimTcp::close(SimSocket& socket) {
  if (socket.link) {
    if (socket.lingerZero) socket.link->setLingerZero(socket.side);
    socket.link->close(socket.side);
  }
  if (socket.listener) {
    std::erase(listeners_, &socket);
    for (const auto& link : socket.listener->backlog) {
      link->setLingerZero(SimSide::Acceptor);  // clients nobody has accepted are reset
      link->close(SimSide::Acceptor);
    }
  }
  ++world_.statistics().socketsClosed;
  sockets_[static_cast<std::size_t>(socket.number)].reset();
}

bool SimTcp::hasDescriptor() const noexcept {
  const std::size_t limit = world_.options().descriptorsMax;
  return limit == 0 || world_.statistics().socketsOpen() < limit;
}

int SimTcp::openEvent() {
  SimSocket& socket = open();
  socket.event = 0;
  return socket.number;
}

void SimTcp::signalEvent(int fd, std::uint64_t value) {
  SimSocket& socket = get(SocketHandle(fd));
  GYRE_CHECK(socket.event.has_value(), "signalEvent: a descriptor of openEvent");
  *socket.event += value;
  socket.linkChanged();
}

// --- Listening

bool SimTcp::isTaken(const InetAddress& address, const ListenOptions& options) const {
  return std::any_of(listeners_.begin(), listeners_.end(), [&](const SimSocket* socket) {
    const SimListener& other = *socket->listener;
    const bool clashes = accepts(other, address) || accepts({address, options, {}}, other.address);
    return clashes && !(options.reusePort && other.options.reusePort);
  });
}

SimSocket& SimTcp::listen(const InetAddress& address, const ListenOptions& options) {
  InetAddress bound = address;
  while (!address.isUnix() && address.port() == 0 &&
         (bound.port() == 0 || isTaken(bound, options))) {
    bound = withPort(address, nextPort());
  }
  if (isTaken(bound, options)) throwInUse(bound);
  SimSocket& socket = open();
  socket.listener = SimListener{bound, options, {}};
  listeners_.push_back(&socket);
  return socket;
}

std::uint16_t SimTcp::nextPort() noexcept {
  nextPort_ = nextPort_ == 60999 ? std::uint16_t{32768} : static_cast<std::uint16_t>(nextPort_ + 1);
  return nextPort_;
}

// One of those that share the address, as SO_REUSEPORT deals. An exact address comes first.
SimSocket* SimTcp::chooseListener(const InetAddress& to) {
  std::vector<SimSocket*> found;
  for (SimSocket* socket : listeners_) {
    if (socket->listener->address == to) found.push_back(socket);
  }
  for (SimSocket* socket : listeners_) {
    const bool isExact = !found.empty() && found.front()->listener->address == to;
    if (!isExact && accepts(*socket->listener, to)) found.push_back(socket);
  }
  return found.empty() ? nullptr : found[world_.random().below(found.size())];
}

// --- Connecting

std::shared_ptr<SimLink> SimTcp::connect(const InetAddress& to) {
  auto link = std::make_shared<SimLink>(world_, nextLink_++);
  const InetAddress target = to.isUnspecified() && !to.isUnix() ? loopbackOf(to, to.port()) : to;
  link->setAddress(SimSide::Acceptor, target);
  link->setAddress(SimSide::Connector,
                   to.isUnix() ? unnamedUnix() : loopbackOf(target, nextPort()));
  sendSyn(link);
  return link;
}

void SimTcp::connect(SimSocket& socket, const InetAddress& to) {
  socket.link = connect(to);
  socket.link->setWatcher(socket.side, &socket);
  applyBuffers(socket);
}

void SimTcp::sendSyn(const std::shared_ptr<SimLink>& link) {
  const bool hasNone = !hasRoute(link->address(SimSide::Acceptor));
  if (hasNone || world_.strikes(SimFault::ConnectUnreachable)) {
    const int error = hasNone || world_.random().chance(0.5) ? ENETUNREACH : EHOSTUNREACH;
    return world_.after(world_.latency(), [link, error] { link->failConnect(error); });
  }
  if (world_.strikes(SimFault::ConnectTimedOut)) {
    return world_.after(world_.between(seconds(1), seconds(127)),
                        [link] { link->failConnect(ETIMEDOUT); });
  }
  Duration delay = world_.latency();
  if (world_.strikes(SimFault::ConnectDelayed)) delay += world_.skewed(seconds(3));
  world_.after(delay, [this, link] { handleSyn(link, 0); });
}

void SimTcp::handleSyn(const std::shared_ptr<SimLink>& link, int attempt) {
  if (link->isClosed(SimSide::Connector)) return;
  SimSocket* listener = chooseListener(link->address(SimSide::Acceptor));
  if (listener == nullptr || world_.strikes(SimFault::ConnectRefused)) {
    return world_.after(world_.latency(), [link] { link->failConnect(ECONNREFUSED); });
  }
  const auto backlogMax =
      static_cast<std::size_t>(std::max(listener->listener->options.backlog, 1));
  if (listener->listener->backlog.size() < backlogMax) return enterBacklog(*listener, link);
  if (link->address(SimSide::Acceptor).isUnix()) return link->failConnect(EAGAIN);
  // A full backlog drops the SYN, which is sent again after 1, 2, 4 ... s.
  if (attempt == kSynRetries) return link->failConnect(ETIMEDOUT);
  world_.after(seconds(1) * (1 << attempt),
               [this, link, attempt] { handleSyn(link, attempt + 1); });
}

void SimTcp::enterBacklog(SimSocket& listener, const std::shared_ptr<SimLink>& link) {
  listener.listener->backlog.push_back(link);
  link->establish();
  scheduleFate(link);
  listener.linkChanged();
}

void SimTcp::scheduleFate(const std::shared_ptr<SimLink>& link) {
  if (world_.strikes(SimFault::ResetInBacklog)) return link->cut(ECONNRESET);
  if (world_.draws(SimFault::ResetIdle)) {
    world_.after(world_.skewed(kConnectionAge), [this, link] {
      const bool isOver = link->isClosed(SimSide::Connector) || link->isClosed(SimSide::Acceptor);
      if (isOver || link->isReset(SimSide::Acceptor) || !link->isIdle()) return;
      world_.count(SimFault::ResetIdle);
      link->cut(ECONNRESET);
    });
  }
  if (world_.draws(SimFault::PeerVanished)) {
    world_.after(world_.skewed(kConnectionAge), [this, link] {
      if (link->isClosed(SimSide::Acceptor) || link->isReset(SimSide::Acceptor)) return;
      world_.count(SimFault::PeerVanished);
      link->vanish(world_.between(seconds(1), seconds(60)));
    });
  }
}

}  // namespace gyre
