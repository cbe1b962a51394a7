#include "net/ConnectAttempt.h"

#include <cerrno>
#include <utility>

#include "base/LogFormat.h"

namespace gyre {

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
    case EAGAIN: return "the backlog of that unix socket is full";
    default: return "the connect failed";
  }
}

std::shared_ptr<ConnectAttempt> ConnectAttempt::start(EventLoop* loop, const InetAddress& to,
                                                      const ConnectOptions& options, Done done) {
  auto attempt = std::make_shared<ConnectAttempt>(loop, to, std::move(done));
  loop->addResident(attempt);
  attempt->openError_ = attempt->open(options);
  if (attempt->openError_ == 0) {
    loop->proactor().connect(attempt->connect_, attempt->socket_, to);
    attempt->startTimer(options.timeout);
  } else {
    loop->markDirty(*attempt);
  }
  return attempt;
}

ConnectAttempt::ConnectAttempt(EventLoop* loop, const InetAddress& to, Done done)
    : loop_(loop), to_(to), done_(std::move(done)), connect_(&ConnectAttempt::handleConnect) {}

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

// Without memory for a timer there is still the kernel's own limit.
void ConnectAttempt::startTimer(TimeSpan timeout) {
  try {
    timer_ = loop_->runAfter(timeout.limit(), [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self == nullptr || !self->connect_.isInFlight()) return;
      self->isTooLate_ = true;
      self->loop_->proactor().cancel(self->connect_);
    });
  } catch (const std::bad_alloc&) {
    logWarn("a connect to {} has no timeout: out of memory", to_.toString());
  }
}

void ConnectAttempt::cancel() {
  done_ = nullptr;
  beginClose();
}

void ConnectAttempt::beginClose() noexcept {
  if (connect_.isInFlight()) return loop_->proactor().cancel(connect_);
  if (openError_ != 0) loop_->markDirty(*this);
}

void ConnectAttempt::settle() noexcept {
  if (const int error = std::exchange(openError_, 0); error != 0) {
    finish({{}, error, explainConnectError(error)});
  }
}

void ConnectAttempt::handleConnect(IoContext& context, const IoResult& result) noexcept {
  ConnectAttempt& self = ownerOf<&ConnectAttempt::connect_>(context);
  // It may have succeeded all the same, before the cancel took effect.
  const bool isTooLate = self.isTooLate_ && result.error == ECANCELED;
  const int error = isTooLate ? ETIMEDOUT : result.error;
  if (error != 0) return self.finish({{}, error, explainConnectError(error)});
  if (self.isConnectedToItself()) {
    return self.finish({{}, ECONNREFUSED, "it connected to itself: nobody listens there"});
  }
  self.finish({std::exchange(self.socket_, {}), 0, {}});
}

void ConnectAttempt::finish(ConnectResult result) {
  loop_->cancel(timer_);
  Proactor& proactor = loop_->proactor();
  if (socket_.isValid()) proactor.close(std::exchange(socket_, {}));
  // Moved out: it may let go of whoever holds it.
  const Done done = std::move(done_);
  done_ = nullptr;
  loop_->removeResident(*this);
  if (done) return done(result);
  if (result.error == 0) proactor.close(result.socket);
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
