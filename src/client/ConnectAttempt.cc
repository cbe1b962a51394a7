#include "client/ConnectAttempt.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "base/LogFormat.h"

namespace gyre {
namespace {

constexpr Duration kAskAgainMin = std::chrono::milliseconds(1);
constexpr Duration kAskAgainMax = std::chrono::milliseconds(128);

}  // namespace

std::string_view explainConnectError(int error) noexcept {
  switch (error) {
    case ECONNREFUSED: return "nobody listens there";
    case ETIMEDOUT: return "no answer in time: the host is down, or a firewall drops packets";
    case ENETUNREACH: return "no route to that network";
    case EHOSTUNREACH: return "no route to that host, or it does not answer there";
    case ECONNRESET: return "the peer, or something on the way, reset the connection";
    case EADDRNOTAVAIL:
      return "no local port is free for that address: widen net.ipv4.ip_local_port_range, or "
             "connect less often";
    case EADDRINUSE: return "the local address of the socket is in use";
    case EMFILE:
    case ENFILE: return "out of descriptors: raise RLIMIT_NOFILE (ulimit -n)";
    case ENOBUFS:
    case ENOMEM: return "the kernel is short of memory";
    case EACCES:
    case EPERM: return "not permitted: a broadcast address, a firewall, or a path without access";
    case EAFNOSUPPORT: return "the kernel has no such address family here";
    case ENOENT: return "there is no socket at that path";
    case EINVAL: return "the address cannot be connected to, or prepareSocket failed";
    case EAGAIN: return "the backlog of that unix socket is full: raise it, or accept faster";
    default: return "the connect failed";
  }
}

std::shared_ptr<ConnectAttempt> ConnectAttempt::start(EventLoop* loop, const InetAddress& to,
                                                      const ConnectOptions& options, Done done) {
  auto attempt = std::make_shared<ConnectAttempt>(loop, to, std::move(done));
  loop->addResident(attempt);
  if (const int error = attempt->open(options); error != 0) {
    attempt->endBy(error);
  } else {
    attempt->connect();
  }
  return attempt;
}

ConnectAttempt::ConnectAttempt(EventLoop* loop, const InetAddress& to, Done done)
    : loop_(loop),
      to_(to),
      done_(std::move(done)),
      connect_(&ConnectAttempt::handleConnect),
      askAgainAfter_(kAskAgainMin) {}

ConnectAttempt::~ConnectAttempt() = default;

int ConnectAttempt::open(const ConnectOptions& options) {
  socket_ = loop_->proactor().socket(to_.family());
  if (!socket_.isValid()) return socket_.error();
  if (!options.prepareSocket) return 0;
  try {
    return options.prepareSocket(socket_);
  } catch (...) {
    logError("prepareSocket threw");
    loop_->proactor().mutableCounters().callbackFailures.add();
    return EINVAL;
  }
}

void ConnectAttempt::connect() noexcept { loop_->proactor().connect(connect_, socket_, to_); }

void ConnectAttempt::expire() noexcept {
  isExpired_ = true;
  beginClose();
}

void ConnectAttempt::cancel() noexcept {
  done_ = nullptr;
  beginClose();
}

void ConnectAttempt::beginClose() noexcept {
  isEnding_ = true;
  if (connect_.isInFlight()) return loop_->proactor().cancel(connect_);
  endBy(isExpired_ ? ETIMEDOUT : ECANCELED);
}

// The first error counts. Not told here: the caller's call may be on the stack.
void ConnectAttempt::endBy(int error) noexcept {
  if (endError_ == 0) endError_ = error;
  stopAsking();
  loop_->markDirty(*this);
}

void ConnectAttempt::settle() noexcept {
  if (endError_ == 0 || isFinished_) return;
  finish({{}, endError_, explain(endError_)});
}

void ConnectAttempt::handleConnect(IoContext& context, const IoResult& result) noexcept {
  ConnectAttempt& self = ownerOf<&ConnectAttempt::connect_>(context);
  const bool isBacklogFull = result.error == EAGAIN && self.to_.isUnix();
  if (isBacklogFull && !self.isEnding_) return self.askAgainLater();
  // It may have succeeded all the same, before the cancel took effect.
  const bool isCancelled = result.error == ECANCELED || isBacklogFull;
  const int whyCancelled = self.isExpired_ ? ETIMEDOUT : ECANCELED;
  const int error = isCancelled ? whyCancelled : result.error;
  if (error != 0) return self.finish({{}, error, self.explain(error)});
  if (self.isConnectedToItself()) {
    return self.finish({{}, ECONNREFUSED, "it connected to itself: nobody listens there"});
  }
  self.finish({std::exchange(self.socket_, {}), 0, {}});
}

void ConnectAttempt::askAgainLater() noexcept {
  try {
    askAgain_ = loop_->runAfter(askAgainAfter_, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      self->askAgain_ = {};
      self->connect();
    });
    askAgainAfter_ = std::min(askAgainAfter_ * 2, kAskAgainMax);
  } catch (const std::bad_alloc&) {
    finish({{}, EAGAIN, explainConnectError(EAGAIN)});
  }
}

void ConnectAttempt::stopAsking() noexcept {
  if (askAgain_.isValid()) loop_->cancel(std::exchange(askAgain_, {}));
}

void ConnectAttempt::finish(ConnectResult result) {
  isFinished_ = true;
  stopAsking();
  Proactor& proactor = loop_->proactor();
  if (socket_.isValid()) proactor.close(std::exchange(socket_, {}));
  // Moved out: it may let go of whoever holds it.
  const Done done = std::move(done_);
  done_ = nullptr;
  loop_->removeResident(*this);
  if (done) return done(*this, result);
  if (result.error == 0) proactor.close(result.socket);
}

std::string_view ConnectAttempt::explain(int error) const noexcept {
  if (error != ETIMEDOUT || !to_.isUnix()) return explainConnectError(error);
  return "the backlog of that unix socket stayed full: nobody accepts there, or too slowly";
}

// TCP's simultaneous open: the kernel has chosen as the local port the one to connect to. It would
// keep the port from the server that is to listen there.
bool ConnectAttempt::isConnectedToItself() const noexcept {
  if (to_.isUnix()) return false;
  const Proactor& proactor = loop_->proactor();
  const InetAddress local = proactor.localAddress(socket_);
  return local.family() != AF_UNSPEC && local == proactor.peerAddress(socket_);
}

}  // namespace gyre
