// ConnectionGroup: what the connections of one server have in common, on all its loops.
//
// Thread  Any; the hooks run on the home loop.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "gyre/base/RefPtr.h"
#include "gyre/loop/Mailbox.h"
#include "net/AddressLimit.h"
#include "net/MemoryBudget.h"

namespace gyre {

class ConnectionGroup : public RefCounted {
 public:
  struct Hooks {
    std::function<void()> onEmpty;  // after closeDoor(): the last has gone
    std::function<void()> onRoom;   // after awaitRoom(): one has gone
  };

  ConnectionGroup(RefPtr<Mailbox> home, Hooks hooks)
      : home_(std::move(home)), hooks_(std::move(hooks)) {}

  // Before the first connection: the loops they will live on.
  void setLoops(const std::vector<EventLoop*>& loops);

  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  std::size_t sizeOn(std::size_t loopIndex) const noexcept {
    return perLoop_[loopIndex].size.load(std::memory_order_relaxed);
  }
  std::size_t indexOf(const EventLoop* loop) const noexcept;
  void add(std::size_t loopIndex) noexcept;
  // One that lived on this loop has gone.
  void remove(const EventLoop* loop, std::uint64_t id);

  // One that was admitted, and not added.
  void turnAway(std::uint64_t id) noexcept {
    if (addresses_.isOn()) addresses_.leave(id);
  }

  // Home loop: from now on onEmpty is told when the last has gone; nothing is added any more.
  void closeDoor();
  // Home loop: onRoom is told when one goes. False when that would be too late: there are fewer
  // than `connections` already.
  bool awaitRoom(std::size_t connections);
  // Home loop: the server is gone.
  void forget() { hooks_ = {}; }
  bool hasServer() const noexcept { return hooks_.onEmpty != nullptr; }

  MemoryBudget& budget() noexcept { return budget_; }
  AddressLimit& addresses() noexcept { return addresses_; }

 private:
  struct PerLoop {
    const EventLoop* loop = nullptr;
    std::atomic<std::size_t> size{0};
  };

  void tellEmpty();

  std::atomic<std::size_t> size_{0};
  std::atomic<bool> isClosing_{false};
  std::atomic<bool> isAwaitingRoom_{false};
  std::unique_ptr<PerLoop[]> perLoop_;
  std::size_t loopCount_ = 0;
  MemoryBudget budget_;
  AddressLimit addresses_;
  const RefPtr<Mailbox> home_;
  Hooks hooks_;
};

}  // namespace gyre
