#include "connection/ConnectionGroup.h"

namespace gyre {

ConnectionGroup::ConnectionGroup(RefPtr<Mailbox> home, Hooks hooks)
    : home_(std::move(home)),
      inbox_(std::make_shared<Inbox>()),
      notification_(makeRef<LoopCall>([inbox = inbox_] { inbox->handleEvents(); })) {
  inbox_->hooks = std::move(hooks);
}

void ConnectionGroup::setLoops(const std::vector<EventLoop*>& loops) {
  perLoop_ = std::make_unique<PerLoop[]>(loops.size());
  loopCount_ = loops.size();
  for (std::size_t i = 0; i < loopCount_; ++i) perLoop_[i].loop = loops[i];
}

std::size_t ConnectionGroup::indexOf(const EventLoop* loop) const noexcept {
  std::size_t index = 0;
  while (index < loopCount_ && perLoop_[index].loop != loop) ++index;
  return index;
}

bool ConnectionGroup::reserveBelow(std::size_t connectionsMax) noexcept {
  std::size_t size = size_.load(std::memory_order_relaxed);
  while (size < connectionsMax) {
    if (size_.compare_exchange_weak(size, size + 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

void ConnectionGroup::remove(const EventLoop* loop, std::uint64_t id) noexcept {
  const std::size_t index = indexOf(loop);
  if (index < loopCount_) perLoop_[index].size.fetch_sub(1, std::memory_order_relaxed);
  release(id);
}

void ConnectionGroup::release(std::uint64_t id) noexcept {
  turnAway(id);
  // seq_cst with closeDoor() and requestCapacity(): one of both sees the other.
  const bool wasLast = size_.fetch_sub(1, std::memory_order_seq_cst) == 1;
  if (wasLast && isClosing_.load(std::memory_order_seq_cst)) notifyHome(kEmpty);
  if (takeRequest(Wanted::Connections)) notifyHome(kCapacity);
}

void ConnectionGroup::beginArriving(std::size_t count) noexcept {
  arriving_.fetch_add(count, std::memory_order_relaxed);
}

// Reports when half of them have been taken, so that accepting does not pause for each batch.
void ConnectionGroup::endArriving(std::size_t count) noexcept {
  const std::size_t left = arriving_.fetch_sub(count, std::memory_order_seq_cst) - count;
  if (left <= arrivingMax_ / 2 && takeRequest(Wanted::Arrivals)) notifyHome(kCapacity);
}

void ConnectionGroup::closeDoor() noexcept {
  isClosing_.store(true, std::memory_order_seq_cst);
  if (size_.load(std::memory_order_seq_cst) == 0) notifyHome(kEmpty);
}

// First the request, then the look: whatever goes after the look sees the request.
bool ConnectionGroup::requestCapacity(std::size_t connectionsMax) noexcept {
  if (connectionsMax != 0) {
    wanted_.store(Wanted::Connections, std::memory_order_seq_cst);
    if (size_.load(std::memory_order_seq_cst) >= connectionsMax) return true;
    if (!takeRequest(Wanted::Connections)) return true;  // reported meanwhile
  }
  wanted_.store(Wanted::Arrivals, std::memory_order_seq_cst);
  if (arriving_.load(std::memory_order_seq_cst) >= arrivingMax_) return true;
  return !takeRequest(Wanted::Arrivals);
}

// True for one caller per request.
bool ConnectionGroup::takeRequest(Wanted wanted) noexcept {
  return wanted_.load(std::memory_order_seq_cst) == wanted &&
         wanted_.compare_exchange_strong(wanted, Wanted::Nothing, std::memory_order_seq_cst);
}

// The one way by which the home loop is notified.
void ConnectionGroup::notifyHome(Event event) noexcept {
  // Whoever set the first of them has posted.
  if (inbox_->events.fetch_or(event, std::memory_order_acq_rel) == 0) home_->post(*notification_);
}

void ConnectionGroup::Inbox::handleEvents() {
  const std::uint8_t came = events.exchange(0, std::memory_order_acq_rel);
  if ((came & kCapacity) != 0 && hooks.onCapacity) hooks.onCapacity();
  if ((came & kEmpty) != 0 && hooks.onEmpty) hooks.onEmpty();  // the server may go with it
}

}  // namespace gyre
