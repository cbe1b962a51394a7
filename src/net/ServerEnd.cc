// How a server ends: acceptors first, so that nothing is added; then connections; then the news.
#include <utility>

#include "gyre/net/Acceptor.h"
#include "gyre/net/TcpServer.h"
#include "net/AcceptGate.h"
#include "net/ConnectionGroup.h"
#include "net/UnixPath.h"

namespace gyre {

// What another thread asked for may come to its turn after the destructor, which is an end too.

void TcpServer::drain(TimeSpan limit, std::function<void()> done) {
  loop_->runInLoop([this, limit, group = profile_->group, moved = std::move(done)]() mutable {
    if (group->hasServer()) return drainInLoop(limit, std::move(moved));
    if (moved) moved();
  });
}

void TcpServer::stop(std::function<void()> done) {
  loop_->runInLoop([this, group = profile_->group, moved = std::move(done)]() mutable {
    if (group->hasServer()) return stopInLoop(std::move(moved));
    if (moved) moved();
  });
}

void TcpServer::drainInLoop(TimeSpan limit, std::function<void()> done) {
  if (phase_ != Phase::Running) {
    // Nothing to drain, or it is ending already.
    if (phase_ == Phase::New || phase_ == Phase::Stopped) return stopInLoop(std::move(done));
    if (done) onStopped_.push_back(std::move(done));
    return;
  }
  if (done) onStopped_.push_back(std::move(done));
  phase_ = Phase::Draining;
  drainTimer_ = loop_->runAfter(limit.limit(), [this] { stopInLoop({}); });
  closeAcceptors();
}

void TcpServer::stopInLoop(std::function<void()> done) {
  if (done) onStopped_.push_back(std::move(done));
  const Phase before = phase_;
  if (before == Phase::Stopped) return finishStop();
  if (before == Phase::Stopping) return;
  phase_ = Phase::Stopping;
  if (before == Phase::Draining && acceptorsOpen_ > 0) return;  // which are closing already
  if (before == Phase::Draining) return closeConnections();
  closeAcceptors();
}

void TcpServer::closeAcceptors() {
  if (acceptorsOpen_ == 0) return acceptorsClosed();
  for (const AcceptorPlace& place : acceptors_) {
    const std::shared_ptr<Acceptor>& acceptor = place.acceptor;
    if (place.loop == loop_) {
      acceptor->beginClose();
    } else {
      // A loop that has ended has closed it.
      place.loop->queueInLoop([acceptor] { acceptor->beginClose(); });
    }
  }
}

void TcpServer::acceptorClosed() {
  if (--acceptorsOpen_ == 0) acceptorsClosed();
}

// Not earlier: until an acceptor has closed, it may bring another one.
void TcpServer::acceptorsClosed() {
  // All listeners may have failed while it runs: then those that wait have their turn.
  if (phase_ != Phase::Running) gate_->close();
  for (Listener& listener : listeners_) listener.path.reset();
  if (phase_ == Phase::Draining) tellDraining();
  if (phase_ == Phase::Stopping) closeConnections();
}

void TcpServer::tellDraining() {
  const void* group = profile_->group.get();
  const auto tell = [](LoopResident& resident) { static_cast<TcpConnection&>(resident).drain(); };
  for (EventLoop* loop : pool_.getAllLoops()) {
    loop->queueInLoop([loop, group, tell] { loop->visitResidents(group, tell); });
  }
  profile_->group->closeDoor();
}

void TcpServer::closeConnections() {
  const void* group = profile_->group.get();
  for (EventLoop* loop : pool_.getAllLoops()) {
    loop->queueInLoop([loop, group] { loop->closeResidents(group); });
  }
  profile_->group->closeDoor();
}

void TcpServer::finishStop() {
  phase_ = Phase::Stopped;
  loop_->cancel(drainTimer_);
  std::vector<std::function<void()>> told;
  told.swap(onStopped_);
  for (const auto& done : told) done();
}

}  // namespace gyre
