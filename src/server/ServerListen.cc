// How a server listens: opening sockets, taking over inherited ones, acceptors for the loops.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/LogFormat.h"
#include "gyre/base/Check.h"
#include "gyre/server/Acceptor.h"
#include "gyre/server/TcpServer.h"
#include "proactor/SocketErrors.h"
#include "server/AcceptGate.h"
#include "server/UnixPath.h"

namespace gyre {
namespace {

bool isAnyOf(const InetAddress& address, int family) {
  return address.family() == family && address.isUnspecified();
}

// Clients that a listener had accepted into its backlog before TCP_NODELAY was set on it: they have
// not inherited that. For a listener the kernel shows the length of the backlog there.
std::size_t backlogOf(int fd) noexcept {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_unacked;
}

bool hasNoDelay(int fd) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  // A unix listener has no such option, and no need of it.
  return ::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size) != 0 || value != 0;
}

}  // namespace

void TcpServer::addListener(UniqueFd listener) {
  checkNotStarted("addListener");
  int listens = 0;
  socklen_t size = sizeof listens;
  const int result = ::getsockopt(listener.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
  if (result != 0 || listens == 0) {
    throw std::system_error(result != 0 ? errno : EINVAL, std::generic_category(),
                            "descriptor " + std::to_string(listener.get()) +
                                " is no listening socket (inherit one on which listen was called)");
  }
  const bool isFirst = listeners_.size() == 1 && listeners_.front().address.family() == AF_UNSPEC &&
                       !listeners_.front().inherited;
  if (!isFirst) listeners_.emplace_back();
  listeners_.back().inherited = std::move(listener);
}

// --- Starting

void TcpServer::open(Listener& listener) {
  if (listener.isInherited) return openInherited(listener);
  const bool isPerLoop = acceptMode_ == AcceptMode::EveryLoop;
  const std::vector<EventLoop*>& loops = pool_.getAllLoops();
  listener.sockets.reserve(loops.size());
  listener.options.reusePort |= isPerLoop;
  auto path = std::make_unique<UnixPath>(listener.address);
  const SocketHandle first = listenFor(listener);
  listener.sockets.push_back(first);
  path->take();
  listener.path = std::move(path);
  const InetAddress bound = loop_->proactor().localAddress(first);
  // The wish is nearer the truth than nothing when the system cannot say.
  if (bound.family() != AF_UNSPEC) listener.address = bound;
  startAcceptor(isPerLoop ? loops.front() : loop_, first, listener);
  if (!isPerLoop || listener.address.isUnix()) return;
  for (std::size_t i = 1; i < loops.size(); ++i) {
    listener.sockets.push_back(listenFor(listener));
    startAcceptor(loops[i], listener.sockets.back(), listener);
  }
}

SocketHandle TcpServer::listenFor(const Listener& listener) {
  try {
    return loop_->proactor().listen(listener.address, listener.options);
  } catch (const std::system_error& error) {
    if (error.code().value() == EADDRINUSE) complainOfBothFamilies(listener);
    throw;
  }
}

// [::]:80 takes IPv4 clients too, so 0.0.0.0:80 beside it is in use, by this very server.
void TcpServer::complainOfBothFamilies(const Listener& refused) const {
  for (const Listener& other : listeners_) {
    const bool isOther = &other != &refused && other.address.port() == refused.address.port();
    const Listener& v6 = refused.address.family() == AF_INET6 ? refused : other;
    const Listener& v4 = &v6 == &refused ? other : refused;
    if (!isOther || v4.address.family() != AF_INET || !isAnyOf(v6.address, AF_INET6)) continue;
    if (!v6.isInherited && v6.options.v6Only) continue;
    throwSetupError(EADDRINUSE,
                    "cannot listen on " + refused.address.toString() + " beside " +
                        other.address.toString() + " in one server",
                    "[::] takes IPv4 clients too: set ListenOptions::v6Only of that listener, or "
                    "listen on [::] alone");
  }
}

void TcpServer::noteInherited(Listener& listener) const {
  if (!listener.inherited) return;
  listener.isInherited = true;
  const InetAddress bound = loop_->proactor().localAddress(SocketHandle(listener.inherited.get()));
  if (bound.family() != AF_UNSPEC) listener.address = bound;
}

// With an acceptor per loop, the inherited sockets of one address are distributed over the loops.
// Where they are fewer than the loops, several loops accept on the same one, each by a descriptor
// of its own; where they are more, a loop has several.
void TcpServer::openInherited(Listener& listener) {
  Proactor& proactor = loop_->proactor();
  listener.sockets.reserve(1);
  if (!listener.ownedPath.empty()) listener.path = std::make_unique<UnixPath>(listener.ownedPath);
  const bool hadNoDelay = hasNoDelay(listener.inherited.get());
  const SocketHandle first = proactor.adopt(listener.inherited.release());
  listener.sockets.push_back(first);
  if (!hadNoDelay) listener.backlogWithNagle = backlogOf(first.value());
  if (acceptMode_ == AcceptMode::BaseLoop) return startAcceptor(loop_, first, listener);

  std::size_t count = 0;
  std::size_t place = 0;
  for (const Listener& other : listeners_) {
    if (!other.isInherited || !(other.address == listener.address)) continue;
    if (&other == &listener) place = count;
    ++count;
  }
  const std::vector<EventLoop*>& loops = pool_.getAllLoops();
  place %= loops.size();
  startAcceptor(loops[place], first, listener);
  while ((place += count) < loops.size()) {
    const int shared = ::fcntl(first.value(), F_DUPFD_CLOEXEC, 0);
    if (shared < 0) {
      throwSetupError(errno, "cannot share a listener between loops", descriptorCure(errno));
    }
    startAcceptor(loops[place], proactor.adopt(shared), listener);
  }
}

// The local address of every connection that comes in there, or null where it has to be asked for:
// the listener takes clients of all addresses, or was opened elsewhere and may be transparent
// (IP_TRANSPARENT: clients meant somebody else's address). Two in a hundred of what a connection
// with one message costs.
const InetAddress* TcpServer::localOfAll(const Listener& listener) noexcept {
  const InetAddress& address = listener.address;
  const bool isOne = !address.isUnspecified() && !address.isUnix() && address.port() != 0;
  return !listener.isInherited && isOne ? &address : nullptr;
}

// Takes over the listener, also when it throws.
void TcpServer::startAcceptor(EventLoop* loop, SocketHandle socket, const Listener& listener) {
  try {
    acceptors_.reserve(acceptors_.size() + 1);
    const auto acceptor = makeAcceptor(loop, listener);
    auto close = makeRef<LoopCall>([acceptor] { acceptor->beginClose(); });
    if (loop == loop_) {
      Acceptor::start(acceptor, socket);
    } else {
      const bool isTaken =
          loop->queueInLoop([acceptor, socket] { Acceptor::startOrClose(acceptor, socket); });
      GYRE_CHECK(isTaken, "a loop of setLoops has ended before the server");
    }
    const auto index = static_cast<std::size_t>(&listener - listeners_.data());
    acceptors_.push_back({loop, acceptor, std::move(close), socket, index});
    ++acceptorsOpen_;
  } catch (...) {
    loop_->proactor().close(socket);
    throw;
  }
}

std::shared_ptr<Acceptor> TcpServer::makeAcceptor(EventLoop* loop, const Listener& listener) {
  const InetAddress* local = localOfAll(listener);
  Acceptor::Callbacks callbacks;
  callbacks.server = name();
  callbacks.onClosed = [this] { acceptorClosed(); };
  if (acceptMode_ == AcceptMode::BaseLoop) {
    callbacks.onSocket = [this, local](SocketHandle socket) { acceptHere(socket, local); };
    callbacks.onBatch = [this] { gate_->endTurn(); };
  } else {
    callbacks.onSocket = [this, loop, local](SocketHandle socket) {
      acceptOn(*loop, socket, local);
    };
    callbacks.onBatch = [] {};
  }
  if (loop != loop_) {
    auto call = makeRef<LoopCall>([this] { acceptorClosed(); });
    callbacks.onClosed = [home = loop_->mailbox(), call = std::move(call)] { home->post(*call); };
  }
  if (listener.backlogWithNagle != 0) {
    callbacks.onSocket = [loop, left = listener.backlogWithNagle,
                          accept = std::move(callbacks.onSocket)](SocketHandle socket) mutable {
      if (left != 0) {
        --left;
        loop->proactor().setOption(socket, SocketOption::NoDelay, 1);
      }
      accept(socket);
    };
  }
  const auto sharing =
      listener.isInherited ? Acceptor::Sharing::Processes : Acceptor::Sharing::Unshared;
  return std::make_shared<Acceptor>(loop, std::move(callbacks), sharing);
}

// --- After start

void TcpServer::tellFailedListeners() noexcept {
  for (AcceptorPlace& place : acceptors_) {
    const int error = place.acceptor->failure();
    if (error == 0 || std::exchange(place.isFailureTold, true)) continue;
    listenersFailed_.fetch_add(1, std::memory_order_relaxed);
    std::erase(listeners_[place.listener].sockets, place.socket);
    if (!onListenerFailed_) continue;
    try {
      onListenerFailed_(place.listener, error);
      continue;
    } catch (const std::exception& thrown) {
      logError("server {}: the callback of a failed listener threw: {}", name(), thrown.what());
    } catch (...) {
      logError("server {}: the callback of a failed listener threw", name());
    }
    loop_->proactor().mutableCounters().callbackFailures.add();
  }
}

}  // namespace gyre
