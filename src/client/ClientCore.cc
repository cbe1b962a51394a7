#include "client/ClientCore.h"

#include <exception>
#include <new>
#include <utility>

#include "base/CallOrder.h"
#include "base/LogFormat.h"
#include "connection/ConnectionGroup.h"

namespace gyre {

std::shared_ptr<ClientCore> ClientCore::make(EventLoop* loop, ConnectTarget target,
                                             std::string name) {
  auto core = std::make_shared<ClientCore>(loop);
  core->prepare(std::move(target), std::move(name));
  return core;
}

ClientCore::~ClientCore() = default;

void ClientCore::prepare(ConnectTarget target, std::string name) {
  const auto weak = weak_from_this();
  // A group of at most one: it tells when that has gone, whatever profile it has by then.
  ConnectionGroup::Hooks hooks;
  hooks.onEmpty = [weak] {
    if (const auto self = weak.lock()) self->handleGone();
  };
  const auto group = makeRef<ConnectionGroup>(loop_->mailbox(), std::move(hooks));
  group->setLoops({loop_});
  group->closeDoor();
  profile_ = makeRef<ConnectionProfile>(group);
  profile_->name = std::move(name);
  Connector::Callbacks callbacks;
  callbacks.onConnected = [loop = loop_, weak](SocketHandle socket) {
    if (const auto self = weak.lock()) return self->establish(socket);
    loop->proactor().close(socket);
  };
  callbacks.onFailed = [weak](const ConnectFailure& failure) {
    if (const auto self = weak.lock()) self->tellFailed(failure);
  };
  connector_ = std::make_shared<Connector>(loop_, std::move(target), std::move(callbacks));
}

// --- Before connect

void ClientCore::checkNotAsked(const char* call) const {
  checkCalledBefore(!isAsked_.load(std::memory_order_relaxed), call, "connect()",
                    "call it before the first connect()");
}

ConnectionProfile& ClientCore::profileBeforeConnect(const char* call) const {
  checkCalledBefore(!isAsked_.load(std::memory_order_relaxed), call, "connect()",
                    "call it before, or give the connection another profile (makeProfile, "
                    "setProfile)");
  return *profile_;
}

// --- Any thread

void ClientCore::post(void (ClientCore::*method)()) {
  loop_->runInLoop([self = shared_from_this(), method] {
    if (!self->isEnded_) (self.get()->*method)();
  });
}

TcpConnectionPtr ClientCore::connection() const {
  const std::lock_guard lock(mutex_);
  return connection_;
}

// --- Loop thread

void ClientCore::connect() {
  isWanted_ = true;
  forgetClosed();
  if (connection_ != nullptr) {
    isAwaited_ = state() == ClientState::Disconnecting;
  } else {
    if (connector_->state() == Connector::State::Idle) connector_->resetBackoff();
    connector_->start();
  }
}

void ClientCore::disconnect() {
  stop();
  if (connection_ == nullptr) return;
  isDisconnecting_ = true;
  connection_->shutdown();
}

void ClientCore::stop() noexcept {
  isWanted_ = false;
  isAwaited_ = false;
  connector_->stop();
}

// A callback of the connection may be what ends us: it keeps its profile until it has closed.
void ClientCore::end() noexcept {
  isWanted_ = false;
  isAwaited_ = false;
  connector_->stop();
  isEnded_ = true;
  if (connection_ == nullptr) return;
  connection_->abandon();
  setConnection(nullptr);
}

ClientState ClientCore::state() const {
  if (connection_ != nullptr && !connection_->disconnected()) {
    const bool isUp = connection_->connected() && !isDisconnecting_;
    return isUp ? ClientState::Connected : ClientState::Disconnecting;
  }
  switch (connector_->state()) {
    case Connector::State::Idle: return ClientState::Idle;
    case Connector::State::Resolving: return ClientState::Resolving;
    case Connector::State::Connecting: return ClientState::Connecting;
    case Connector::State::Waiting: return ClientState::Waiting;
  }
  return ClientState::Idle;
}

RefPtr<ConnectionProfile> ClientCore::makeProfile() const {
  auto profile = makeRef<ConnectionProfile>(profile_->group);
  profile->name = profile_->name;
  profile->options = profile_->options;
  return profile;
}

void ClientCore::setConnection(TcpConnectionPtr connection) noexcept {
  isDisconnecting_ = false;
  const std::lock_guard lock(mutex_);
  connection_.swap(connection);  // the old one is let go of after the lock is
}

void ClientCore::establish(SocketHandle socket) noexcept {
  TcpConnectionPtr connection;
  try {
    connection = TcpConnection::make({loop_, socket, lastId_ + 1, profile_});
  } catch (const std::bad_alloc&) {
    logError("client {}: a new connection was closed: out of memory", profile_->name);
    loop_->proactor().close(socket);
    return connector_->startLater();
  }
  ++lastId_;
  profile_->group->add(0);
  upSince_ = loop_->now();
  setConnection(connection);
  connection->connectEstablished();
}

void ClientCore::tellFailed(const ConnectFailure& failure) noexcept {
  if (isEnded_) return;
  if (!onFailed_) {
    logInfo("client {}: cannot connect to {} ({}): {}", profile_->name, failure.address,
            failure.reason, failure.error);
    return;
  }
  try {
    onFailed_(failure);
  } catch (const std::exception& error) {
    logError("client {}: the connect-failed callback threw: {}", profile_->name, error.what());
    loop_->proactor().mutableCounters().callbackFailures.add();
  } catch (...) {
    logError("client {}: the connect-failed callback threw no std::exception", profile_->name);
    loop_->proactor().mutableCounters().callbackFailures.add();
  }
}

void ClientCore::handleGone() noexcept {
  if (isEnded_ || !forgetClosed()) return;
  if (std::exchange(isAwaited_, false)) return connector_->start();
  if (!isWanted_ || !isRetrying_) return;
  const auto lasted = loop_->now() - upSince_;
  if (lasted >= connector_->options().backoff.maximum.limit()) connector_->resetBackoff();
  connector_->startLater();
}

bool ClientCore::forgetClosed() {
  if (connection_ == nullptr || !connection_->disconnected()) return false;
  setConnection(nullptr);
  return true;
}

}  // namespace gyre
