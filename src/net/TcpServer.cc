#include "gyre/net/TcpServer.h"

#include <utility>

#include "base/LogFormat.h"
#include "gyre/base/Check.h"
#include "gyre/net/Acceptor.h"
#include "net/ConnectionGroup.h"

namespace gyre {

TcpServer::TcpServer(EventLoop* loop, const InetAddress& listenAddress, std::string name)
    : loop_(loop), pool_(loop, name) {
  auto group = makeRef<ConnectionGroup>(loop->mailbox(), [this] { finishStop(); });
  profile_ = makeRef<ConnectionProfile>(std::move(group));
  profile_->name = std::move(name);
  listeners_.push_back({listenAddress, {}, nullptr});
}

TcpServer::~TcpServer() {
  loop_->assertInLoopThread();
  GYRE_CHECK(!loop_->isDispatching(),
             "a TcpServer was destroyed inside an I/O callback: use stop() there");
  if (isStarted_ && !isStopped_) {
    // Told early in an iteration, which then must not wait for anything more.
    stopInLoop([this] { loop_->wakeup(); });
    while (!isStopped_) loop_->runOnce(loop_->now() + std::chrono::milliseconds(100));
  }
  profile_->group->forget();
}

// --- Before start

void TcpServer::addListener(const InetAddress& address, const ListenOptions& options) {
  GYRE_CHECK(!isStarted_, "addListener belongs before start");
  listeners_.push_back({address, options, nullptr});
}

void TcpServer::setConnectionCallback(ConnectionCallback callback) {
  profile_->onConnection = std::move(callback);
}
void TcpServer::setMessageCallback(MessageCallback callback) {
  profile_->onMessage = std::move(callback);
}
void TcpServer::setWriteCompleteCallback(WriteCompleteCallback callback) {
  profile_->onWriteComplete = std::move(callback);
}
void TcpServer::setHighWaterMarkCallback(HighWaterMarkCallback callback,
                                         std::size_t highWaterMark) {
  profile_->onHighWaterMark = std::move(callback);
  profile_->options.highWaterMark = highWaterMark;
}
void TcpServer::setHalfCloseCallback(HalfCloseCallback callback) {
  profile_->onHalfClose = std::move(callback);
}
void TcpServer::setCloseCallback(CloseCallback callback) {
  profile_->onClose = std::move(callback);
}

void TcpServer::start() {
  loop_->assertInLoopThread();
  GYRE_CHECK(!isStarted_, "a TcpServer was started twice");
  pool_.start(threadInit_);
  arrivals_.resize(pool_.getAllLoops().size());
  isStarted_ = true;
  // When one throws, those that listen already end with the destructor.
  for (Listener& listener : listeners_) listen(listener);
}

void TcpServer::listen(Listener& listener) {
  Acceptor::Callbacks callbacks;
  callbacks.onSocket = [this](SocketHandle socket) { newConnection(socket); };
  callbacks.onBatch = [this] { handOver(); };
  callbacks.onClosed = [this] { acceptorClosed(); };
  listener.acceptor = std::make_shared<Acceptor>(loop_, std::move(callbacks));
  Acceptor::listen(listener.acceptor, listener.address, listener.options);
  ++acceptorsOpen_;
}

// --- Connections

void TcpServer::newConnection(SocketHandle socket) {
  try {
    arrivals_[nextLoop_].push_back({socket, lastId_ + 1});
  } catch (const std::bad_alloc&) {
    logError("a new connection was closed: out of memory");
    return loop_->proactor().close(socket);
  }
  ++lastId_;
  profile_->group->add();
  if (++nextLoop_ == arrivals_.size()) nextLoop_ = 0;
}

// All sockets of one batch for one loop in one push: at most one wake-up each.
void TcpServer::handOver() {
  const std::vector<EventLoop*>& loops = pool_.getAllLoops();
  for (std::size_t i = 0; i < loops.size(); ++i) {
    if (arrivals_[i].empty()) continue;
    auto arrivals = std::make_shared<Arrivals>();
    arrivals->swap(arrivals_[i]);
    EventLoop* loop = loops[i];
    if (loop == loop_) {
      establish(*loop, profile_, *arrivals);
      continue;
    }
    const bool taken = loop->queueInLoop(
        [loop, profile = profile_, arrivals] { establish(*loop, profile, *arrivals); });
    if (taken) continue;
    for (const Arrival& arrival : *arrivals) {
      loop_->proactor().close(arrival.socket);
      profile_->group->remove();
    }
  }
}

void TcpServer::establish(EventLoop& loop, const RefPtr<ConnectionProfile>& profile,
                          const Arrivals& arrivals) {
  for (const Arrival& arrival : arrivals) {
    try {
      auto connection = std::make_shared<TcpConnection>(
          TcpConnection::Init{&loop, arrival.socket, arrival.id, profile});
      loop.addResident(connection);
      connection->connectEstablished();
    } catch (const std::bad_alloc&) {
      logError("a new connection was closed: out of memory");
      loop.proactor().close(arrival.socket);
      profile->group->remove();
    }
  }
}

InetAddress TcpServer::listenAddress(std::size_t index) const {
  GYRE_CHECK(index < listeners_.size(), "there is no such listener");
  const Listener& listener = listeners_[index];
  return listener.acceptor == nullptr ? listener.address : listener.acceptor->address();
}

RefPtr<ConnectionProfile> TcpServer::makeProfile() const {
  auto profile = makeRef<ConnectionProfile>(profile_->group);
  profile->name = profile_->name;
  profile->options = profile_->options;
  return profile;
}

std::size_t TcpServer::connectionCount() const noexcept { return profile_->group->size(); }

// --- Stopping: acceptors first, so that nothing is added; then connections; then the news

void TcpServer::stop(std::function<void()> done) {
  loop_->runInLoop([this, moved = std::move(done)]() mutable { stopInLoop(std::move(moved)); });
}

void TcpServer::stopInLoop(std::function<void()> done) {
  if (done) onStopped_.push_back(std::move(done));
  if (isStopped_) return finishStop();
  if (std::exchange(isStopping_, true)) return;
  if (acceptorsOpen_ == 0) return closeConnections();
  for (Listener& listener : listeners_) {
    if (listener.acceptor != nullptr) listener.acceptor->beginClose();
  }
}

void TcpServer::acceptorClosed() {
  if (--acceptorsOpen_ == 0 && isStopping_) closeConnections();
}

void TcpServer::closeConnections() {
  const void* group = profile_->group.get();
  if (isStarted_) {
    for (EventLoop* loop : pool_.getAllLoops()) {
      loop->queueInLoop([loop, group] { loop->closeResidents(group); });
    }
  }
  profile_->group->closeDoor();
}

void TcpServer::finishStop() {
  isStopped_ = true;
  std::vector<std::function<void()>> told;
  told.swap(onStopped_);
  for (const auto& done : told) done();
}

}  // namespace gyre
