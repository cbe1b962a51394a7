#include "net/ConnectionGroup.h"

namespace gyre {

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

void ConnectionGroup::add(std::size_t loopIndex) noexcept {
  size_.fetch_add(1, std::memory_order_relaxed);
  if (loopIndex < loopCount_) perLoop_[loopIndex].size.fetch_add(1, std::memory_order_relaxed);
}

void ConnectionGroup::remove(const EventLoop* loop, std::uint64_t id) {
  turnAway(id);
  const std::size_t index = indexOf(loop);
  if (index < loopCount_) perLoop_[index].size.fetch_sub(1, std::memory_order_relaxed);
  // seq_cst with closeDoor() and awaitRoom(): one of both sees the other.
  const bool wasLast = size_.fetch_sub(1, std::memory_order_seq_cst) == 1;
  if (wasLast && isClosing_.load(std::memory_order_seq_cst)) tellEmpty();
  if (!isAwaitingRoom_.load(std::memory_order_seq_cst)) return;
  if (!isAwaitingRoom_.exchange(false, std::memory_order_seq_cst)) return;
  home_->post([self = RefPtr<ConnectionGroup>(this)] {
    if (self->hooks_.onRoom) self->hooks_.onRoom();
  });
}

void ConnectionGroup::closeDoor() {
  isClosing_.store(true, std::memory_order_seq_cst);
  if (size_.load(std::memory_order_seq_cst) == 0) tellEmpty();
}

bool ConnectionGroup::awaitRoom(std::size_t connections) {
  isAwaitingRoom_.store(true, std::memory_order_seq_cst);
  if (size_.load(std::memory_order_seq_cst) >= connections) return true;
  isAwaitingRoom_.store(false, std::memory_order_seq_cst);
  return false;
}

// May come twice, when both saw the other.
void ConnectionGroup::tellEmpty() {
  home_->post([self = RefPtr<ConnectionGroup>(this)] {
    if (self->hooks_.onEmpty) self->hooks_.onEmpty();
  });
}

}  // namespace gyre
