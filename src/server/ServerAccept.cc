// How connections come in: admitting them, choosing their loops, handing them over.
#include <exception>
#include <new>
#include <utility>
#include <vector>

#include "base/LogFormat.h"
#include "connection/ConnectionGroup.h"
#include "gyre/server/Acceptor.h"
#include "gyre/server/TcpServer.h"
#include "server/AcceptGate.h"
#include "server/Admission.h"

namespace gyre {
namespace {

// The memory of a larger batch is given back.
constexpr std::size_t kSpareArrivalsMax = 256;

// What throws here refuses the one client, and nothing else.
bool admitsGuarded(Admission& admission, Proactor& proactor, const Arrival& arrival,
                   const ConnectionProfile& profile) noexcept {
  try {
    return admission.admits(proactor, arrival.socket, arrival.id);
  } catch (const std::exception& error) {
    logError("server {}: a new connection was refused: {}", profile.name, error.what());
  } catch (...) {
    logError("server {}: a new connection was refused: the accept filter threw", profile.name);
  }
  proactor.mutableCounters().callbackFailures.add();
  return false;
}

void logOutOfMemory(const ConnectionProfile& profile) noexcept {
  logError("server {}: a new connection was closed: out of memory", profile.name);
}

// Without memory for it the one client is closed, and nothing else.
bool addOrClose(std::vector<Arrival>& arrivals, const Arrival& arrival, Proactor& proactor,
                const ConnectionProfile& profile) noexcept {
  try {
    arrivals.push_back(arrival);
    return true;
  } catch (const std::bad_alloc&) {
    logOutOfMemory(profile);
  }
  proactor.close(arrival.socket);
  profile.group->release(arrival.id);
  return false;
}

}  // namespace

// --- One acceptor, on the base loop

void TcpServer::acceptHere(SocketHandle socket, const InetAddress* local) {
  const Arrival arrival{socket, ++lastId_, local};
  if (admitsGuarded(*admission_, loop_->proactor(), arrival, *profile_)) {
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

std::size_t TcpServer::choosePlace(SocketHandle socket) noexcept {
  if (choosePlace_) return placeByCallback(socket);
  if (placement_ == Placement::RoundRobin) return placeInTurn();
  const ConnectionGroup& group = *profile_->group;
  std::size_t fewest = 0;
  for (std::size_t i = 1; i < arrivals_.size(); ++i) {
    if (group.sizeOn(i) < group.sizeOn(fewest)) fewest = i;
  }
  return fewest;
}

std::size_t TcpServer::placeByCallback(SocketHandle socket) noexcept {
  const std::size_t count = arrivals_.size();
  try {
    return choosePlace_(loop_->proactor().peerAddress(socket), count) % count;
  } catch (...) {
    logError("server {}: the placement callback threw: the next loop in turn is taken", name());
    loop_->proactor().mutableCounters().callbackFailures.add();
    return placeInTurn();
  }
}

std::size_t TcpServer::placeInTurn() noexcept {
  const std::size_t index = nextLoop_;
  if (++nextLoop_ == arrivals_.size()) nextLoop_ = 0;
  return index;
}

void TcpServer::handOver() {
  auto next = arrivals_.begin();
  for (EventLoop* loop : pool_.getAllLoops()) {
    Arrivals& placed = *next++;
    if (placed.empty()) continue;
    // Out of the way first: a callback may run the loop, and more come in.
    Arrivals arrivals = std::move(spareArrivals_);
    arrivals.swap(placed);
    if (loop == loop_) {
      establish(*loop, profile_, arrivals);
    } else {
      handOverTo(*loop, arrivals);
    }
    arrivals.clear();
    if (arrivals.capacity() <= kSpareArrivalsMax) spareArrivals_ = std::move(arrivals);
  }
}

// All sockets of one batch for one loop in one push: at most one wake-up each.
void TcpServer::handOverTo(EventLoop& loop, const Arrivals& arrivals) {
  ConnectionGroup& group = *profile_->group;
  group.beginArriving(arrivals.size());
  try {
    auto moved = std::make_shared<Arrivals>(arrivals);
    const bool isTaken = loop.queueInLoop([&loop, profile = profile_, moved = std::move(moved)] {
      establish(loop, profile, *moved);
      profile->group->endArriving(moved->size());
    });
    if (isTaken) return;
  } catch (const std::bad_alloc&) {
    logOutOfMemory(*profile_);
  }
  for (const Arrival& arrival : arrivals) {
    loop_->proactor().close(arrival.socket);
    group.remove(&loop, arrival.id);
  }
  group.endArriving(arrivals.size());
}

// --- An acceptor per loop

void TcpServer::acceptOn(EventLoop& loop, SocketHandle socket, const InetAddress* local) {
  const Arrival arrival{socket, ++lastId_, local};
  if (!admitsGuarded(*admission_, loop.proactor(), arrival, *profile_)) {
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
      logOutOfMemory(*profile);
      loop.proactor().close(arrival.socket);
      profile->group->remove(&loop, arrival.id);
    }
  }
}

}  // namespace gyre
