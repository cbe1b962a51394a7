// How a server ends: acceptors first, so that nothing is added; then connections; then the news.
#include <exception>
#include <string>
#include <utility>

#include "base/LogFormat.h"
#include "connection/ConnectionGroup.h"
#include "gyre/server/Acceptor.h"
#include "gyre/server/TcpServer.h"
#include "server/AcceptGate.h"
#include "server/UnixPath.h"

namespace gyre {

namespace {

void callEach(const std::list<std::function<void()>>& told, EventLoop& loop,
              const std::string& server) noexcept {
  for (const auto& done : told) {
    try {
      done();
      continue;
    } catch (const std::exception& error) {
      logError("server {}: a callback of stop() or drain() threw: {}", server, error.what());
    } catch (...) {
      logError("server {}: a callback of stop() or drain() threw no std::exception", server);
    }
    loop.proactor().mutableCounters().callbackFailures.add();
  }
}

}  // namespace

// --- Any thread. What another one asked for may come to its turn after the destructor, which is an
// end too.

TcpServer::DoneList TcpServer::listOf(std::function<void()> done) {
  DoneList list;
  if (!done) return list;
  if (loop_->isInLoopThread() && !spare_.empty()) {
    spare_.front() = std::move(done);
    list.splice(list.end(), spare_);
  } else {
    list.push_back(std::move(done));
  }
  return list;
}

void TcpServer::drain(TimeSpan limit, std::function<void()> done) {
  DoneList told = listOf(std::move(done));
  if (loop_->isInLoopThread()) return drainInLoop(limit, std::move(told));
  loop_->queueInLoop([this, limit, profile = profile_, moved = std::move(told)]() mutable {
    if (profile->group->hasServer()) return drainInLoop(limit, std::move(moved));
    callEach(moved, *EventLoop::current(), profile->name);
  });
}

void TcpServer::stop(std::function<void()> done) {
  DoneList told = listOf(std::move(done));
  if (loop_->isInLoopThread()) return stopInLoop(std::move(told));
  if (told.empty()) {
    loop_->mailbox()->post(*stopCall_);
    return;
  }
  loop_->queueInLoop([this, profile = profile_, moved = std::move(told)]() mutable {
    if (profile->group->hasServer()) return stopInLoop(std::move(moved));
    callEach(moved, *EventLoop::current(), profile->name);
  });
}

// --- Base loop

void TcpServer::prepareEnd() {
  // A reference to the group: while a call waits, no other group can have its address.
  const RefPtr<ConnectionGroup>& group = profile_->group;
  const auto tell = [](LoopResident& resident) { static_cast<TcpConnection&>(resident).drain(); };
  for (EventLoop* loop : pool_.getAllLoops()) {
    calls_.push_back(
        {loop, makeRef<LoopCall>([loop, group, tell] { loop->visitResidents(group.get(), tell); }),
         makeRef<LoopCall>([loop, group] { loop->closeResidents(group.get()); })});
  }
  spare_.emplace_back();
  drainTimer_.emplace(loop_, [this] { stopInLoop({}); });
}

void TcpServer::drainInLoop(TimeSpan limit, DoneList done) noexcept {
  // Otherwise there is nothing to drain, or it is ending already.
  if (phase_ == Phase::New || phase_ == Phase::Stopped) return stopInLoop(std::move(done));
  onStopped_.splice(onStopped_.end(), done);
  if (phase_ != Phase::Running) return;
  phase_ = Phase::Draining;
  drainTimer_->set(limit.limit());
  closeAcceptors();
}

void TcpServer::stopInLoop(DoneList done) noexcept {
  onStopped_.splice(onStopped_.end(), done);
  const Phase before = phase_;
  if (before == Phase::Stopped) return finishStop();
  if (before == Phase::Stopping) return;
  phase_ = Phase::Stopping;
  if (before == Phase::Draining && acceptorsOpen_ > 0) return;  // which are closing already
  if (before == Phase::Draining) return closeConnections();
  closeAcceptors();
}

void TcpServer::closeAcceptors() noexcept {
  if (acceptorsOpen_ == 0) return acceptorsClosed();
  for (const AcceptorPlace& place : acceptors_) {
    if (place.loop == loop_) {
      place.acceptor->beginClose();
    } else {
      // A loop that has ended has closed it.
      place.loop->mailbox()->post(*place.close);
    }
  }
}

void TcpServer::acceptorClosed() noexcept {
  tellFailedListeners();
  if (--acceptorsOpen_ == 0) acceptorsClosed();
}

// Not earlier: until an acceptor has closed, it may bring another one.
void TcpServer::acceptorsClosed() noexcept {
  // All listeners may have failed while it runs: then those that wait have their turn.
  if (phase_ != Phase::Running) gate_->close();
  for (Listener& listener : listeners_) {
    listener.path.reset();
    listener.sockets.clear();
  }
  if (phase_ == Phase::Draining) tellDraining();
  if (phase_ == Phase::Stopping) closeConnections();
}

void TcpServer::tellDraining() noexcept {
  profile_->group->beginDraining();
  for (const LoopCalls& calls : calls_) calls.loop->mailbox()->post(*calls.drain);
  profile_->group->closeDoor();
}

void TcpServer::closeConnections() noexcept {
  for (const LoopCalls& calls : calls_) calls.loop->mailbox()->post(*calls.close);
  profile_->group->closeDoor();
}

void TcpServer::finishStop() noexcept {
  phase_ = Phase::Stopped;
  if (drainTimer_) drainTimer_->end();
  // The destructor may be waiting for this, and for nothing more.
  loop_->wakeup();
  const DoneList told = std::exchange(onStopped_, {});
  callEach(told, *loop_, name());
}

}  // namespace gyre
