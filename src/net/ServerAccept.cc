// How connections come in: admitting them, choosing their loops, handing them over.
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/LogFormat.h"
#include "gyre/net/Acceptor.h"
#include "gyre/net/TcpServer.h"
#include "net/AcceptGate.h"
#include "net/Admission.h"
#include "net/ConnectionGroup.h"

namespace gyre {
namespace {

// What throws here refuses the one client, and nothing else.
bool admitsGuarded(Admission& admission, Proactor& proactor, const Arrival& arrival,
                   const std::string& server) noexcept {
  try {
    return admission.admits(proactor, arrival.socket, arrival.id);
  } catch (const std::exception& error) {
    logError("server {}: a new connection was refused: {}", server, error.what());
  } catch (...) {
    logError("server {}: a new connection was refused: the accept filter threw", server);
  }
  proactor.mutableCounters().callbackFailures.add();
  return false;
}

// What the call says; false, too, when there is no memory for it.
template <typename Call>
bool unlessOutOfMemory(const ConnectionProfile& profile, Call call) noexcept {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    logError("server {}: a new connection was closed: out of memory", profile.name);
    return false;
  }
}

// Without memory for it the one client is closed, and nothing else.
bool addOrClose(std::vector<Arrival>& arrivals, const Arrival& arrival, Proactor& proactor,
                const ConnectionProfile& profile) noexcept {
  const bool isAdded = unlessOutOfMemory(profile, [&] {
    arrivals.push_back(arrival);
    return true;
  });
  if (isAdded) return true;
  proactor.close(arrival.socket);
  profile.group->release(arrival.id);
  return false;
}

}  // namespace

// --- One acceptor, on the base loop

void TcpServer::acceptHere(SocketHandle socket, const InetAddress* local) {
  const Arrival arrival{socket, ++lastId_, local};
  if (admitsGuarded(*admission_, loop_->proactor(), arrival, name())) {
    gate_->offer(arrival);
  } else {
    loop_->proactor().close(socket);
  }
}

void TcpServer::makeGate() {
  AcceptGate::Hooks hooks;
  hooks.server = name();
  hooks.place = [this](const Arrival& arrival) { place(arrival); };
  hooks.handOver = [this] { handOver(); };
  hooks.pause = [this] {
    for (const AcceptorPlace& place : acceptors_) place.acceptor->pause();
  };
  hooks.resume = [this] {
    for (const AcceptorPlace& place : acceptors_) place.acceptor->resume();
  };
  gate_ = std::make_unique<AcceptGate>(loop_, *admission_, std::move(hooks));
}

void TcpServer::place(const Arrival& arrival) {
  const std::size_t index = choosePlace(arrival.socket);
  if (!addOrClose(arrivals_[index], arrival, loop_->proactor(), *profile_)) return;
  profile_->group->place(index);
}

std::size_t TcpServer::choosePlace(SocketHandle socket) {
  const std::size_t count = arrivals_.size();
  if (choosePlace_) {
    try {
      return choosePlace_(loop_->proactor().peerAddress(socket), count) % count;
    } catch (...) {
      logError("server {}: the placement callback threw: the next loop in turn is taken", name());
      loop_->proactor().mutableCounters().callbackFailures.add();
    }
  } else if (placement_ == Placement::FewestConnections) {
    const ConnectionGroup& group = *profile_->group;
    std::size_t fewest = 0;
    for (std::size_t i = 1; i < count; ++i) {
      if (group.sizeOn(i) < group.sizeOn(fewest)) fewest = i;
    }
    return fewest;
  }
  const std::size_t index = nextLoop_;
  if (++nextLoop_ == count) nextLoop_ = 0;
  return index;
}

void TcpServer::handOver() {
  const std::vector<EventLoop*>& loops = pool_.getAllLoops();
  for (std::size_t i = 0; i < loops.size(); ++i) {
    if (arrivals_[i].empty()) continue;
    Arrivals arrivals;
    arrivals.swap(arrivals_[i]);
    if (loops[i] == loop_) {
      establish(*loop_, profile_, arrivals);
    } else {
      handOverTo(*loops[i], arrivals);
    }
  }
}

// All sockets of one batch for one loop in one push: at most one wake-up each.
void TcpServer::handOverTo(EventLoop& loop, const Arrivals& arrivals) {
  ConnectionGroup& group = *profile_->group;
  group.beginArriving(arrivals.size());
  const bool isTaken = unlessOutOfMemory(*profile_, [&] {
    auto moved = std::make_shared<Arrivals>(arrivals);
    return loop.queueInLoop([&loop, profile = profile_, moved = std::move(moved)] {
      establish(loop, profile, *moved);
      profile->group->endArriving(moved->size());
    });
  });
  if (isTaken) return;
  for (const Arrival& arrival : arrivals) {
    loop_->proactor().close(arrival.socket);
    group.remove(&loop, arrival.id);
  }
  group.endArriving(arrivals.size());
}

// --- An acceptor per loop

void TcpServer::acceptOn(EventLoop& loop, SocketHandle socket, const InetAddress* local) {
  const Arrival arrival{socket, ++lastId_, local};
  if (!admitsGuarded(*admission_, loop.proactor(), arrival, name())) {
    return loop.proactor().close(socket);
  }
  if (!admission_->reserve()) {
    admission_->refuseAtMax(arrival.id);
    return loop.proactor().close(socket);
  }
  Arrivals arrivals;
  if (!addOrClose(arrivals, arrival, loop.proactor(), *profile_)) return;
  ConnectionGroup& group = *profile_->group;
  group.place(group.indexOf(&loop));
  establish(loop, profile_, arrivals);
}

// --- On the loop of the connection

void TcpServer::establish(EventLoop& loop, const RefPtr<ConnectionProfile>& profile,
                          const Arrivals& arrivals) {
  for (const Arrival& arrival : arrivals) {
    try {
      TcpConnection::make({&loop, arrival.socket, arrival.id, profile, arrival.local})
          ->connectEstablished();
    } catch (const std::bad_alloc&) {
      logError("server {}: a new connection was closed: out of memory", profile->name);
      loop.proactor().close(arrival.socket);
      profile->group->remove(&loop, arrival.id);
    }
  }
}

}  // namespace gyre
