#include "fuzz/Crowd.h"

#include <algorithm>

namespace gyre {

SocketPeer& Crowd::add(const PeerPlan& plan) {
  auto peer = std::make_unique<SocketPeer>(directory_.add(plan), directory_, server_, scenario_);
  if (isReleased_) peer->release();
  active_.push_back(peer.get());
  peers_.push_back(std::move(peer));
  return *peers_.back();
}

void Crowd::startMore() {
  while (active_.size() < scenario_.peersAtOnce && next_ < scenario_.peers.size()) {
    add(scenario_.peers[next_++]);
  }
}

void Crowd::pump(std::chrono::milliseconds wait) {
  startMore();
  polled_.clear();
  for (const SocketPeer* peer : active_) polled_.push_back({peer->fd(), peer->events(), 0});
  ::poll(polled_.data(), polled_.size(), static_cast<int>(wait.count()));
  for (SocketPeer* peer : active_) peer->step();
  std::erase_if(active_, [](const SocketPeer* peer) { return peer->isFinished(); });
}

std::size_t Crowd::parked() const {
  return static_cast<std::size_t>(std::count_if(
      active_.begin(), active_.end(), [](const SocketPeer* peer) { return peer->isParked(); }));
}

bool Crowd::isStillFor(Clock::duration time) const {
  const Clock::time_point since = Clock::now() - time;
  return std::all_of(active_.begin(), active_.end(), [since](const SocketPeer* peer) {
    return peer->isParked() || peer->progressedAt() <= since;
  });
}

void Crowd::release() {
  isReleased_ = true;
  for (SocketPeer* peer : active_) peer->release();
}

const SocketPeer* Crowd::firstWaiting() const {
  const auto found = std::find_if(active_.begin(), active_.end(),
                                  [](const SocketPeer* peer) { return !peer->isParked(); });
  return found == active_.end() ? nullptr : *found;
}

}  // namespace gyre
