// ConnectionGroup: what the connections of one server have in common, on all its loops.
//
// Thread  Any; the hooks run on the home loop.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "connection/AddressLimit.h"
#include "connection/MemoryBudget.h"
#include "gyre/base/RefPtr.h"
#include "gyre/loop/Mailbox.h"

namespace gyre {

class ConnectionGroup : public RefCounted {
 public:
  struct Hooks {
    std::function<void()> onEmpty;     // after closeDoor(): the last has gone
    std::function<void()> onCapacity;  // once after each requestCapacity() that was granted
  };

  // May throw std::bad_alloc; from then on nothing of it needs memory but setLoops().
  ConnectionGroup(RefPtr<Mailbox> home, Hooks hooks);

  // Before the first connection: the loops they will live on.
  void setLoops(const std::vector<EventLoop*>& loops);

  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  std::size_t sizeOn(std::size_t loopIndex) const noexcept {
    return perLoop_[loopIndex].size.load(std::memory_order_relaxed);
  }
  std::size_t indexOf(const EventLoop* loop) const noexcept;

  // Counts one more connection, before anything else is done for it. False when there are
  // `connectionsMax` already; 0: no limit. What is reserved ends with remove() or release().
  bool reserve(std::size_t connectionsMax) noexcept {
    if (connectionsMax != 0) return reserveBelow(connectionsMax);
    size_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  bool isFull(std::size_t connectionsMax) const noexcept {
    return connectionsMax != 0 && size() >= connectionsMax;
  }
  // The reserved one will live on this loop.
  void place(std::size_t loopIndex) noexcept {
    if (loopIndex < loopCount_) perLoop_[loopIndex].size.fetch_add(1, std::memory_order_relaxed);
  }
  void add(std::size_t loopIndex) noexcept {
    reserve(0);
    place(loopIndex);
  }
  // A placed one has gone.
  void remove(const EventLoop* loop, std::uint64_t id) noexcept;
  // A reserved one, not placed, has gone.
  void release(std::uint64_t id) noexcept;

  // Sockets on their way to loops of other threads: posted by the home loop, then taken there.
  void beginArriving(std::size_t count) noexcept;
  void endArriving(std::size_t count) noexcept;
  // So many are on their way that accepting more would only collect descriptors.
  bool isCrowded() const noexcept {
    return arriving_.load(std::memory_order_relaxed) >= arrivingMax_;
  }
  // Before the first connection.
  void setArrivingMax(std::size_t count) noexcept { arrivingMax_ = count; }

  // One that was admitted, and not added.
  void turnAway(std::uint64_t id) noexcept {
    if (addresses_.isOn()) addresses_.leave(id);
  }

  // Home loop: from now on onEmpty is told when the last has gone; nothing is added any more.
  void closeDoor() noexcept;
  // Home loop. Both limits: of connections (0: none), and of sockets on their way.
  bool hasCapacity(std::size_t connectionsMax) const noexcept {
    return !isFull(connectionsMax) && !isCrowded();
  }
  // Home loop. True: there is no capacity, and onCapacity will be called once when there may be
  // some. False: there is capacity at this moment, and onCapacity will not be called.
  bool requestCapacity(std::size_t connectionsMax) noexcept;
  // Home loop: no connection comes any more, and those that are there are to come to their end.
  void beginDraining() noexcept { isDraining_.store(true, std::memory_order_relaxed); }
  bool isDraining() const noexcept { return isDraining_.load(std::memory_order_relaxed); }
  // Home loop: the server is gone.
  void forget() noexcept { inbox_->hooks = {}; }
  bool hasServer() const noexcept { return inbox_->hooks.onEmpty != nullptr; }

  MemoryBudget& budget() noexcept { return budget_; }
  AddressLimit& addresses() noexcept { return addresses_; }

 private:
  struct PerLoop {
    const EventLoop* loop = nullptr;
    std::atomic<std::size_t> size{0};
  };

  // What a request for capacity waits for.
  enum class Wanted : std::uint8_t { Nothing, Connections, Arrivals };
  enum Event : std::uint8_t { kEmpty = 1, kCapacity = 2 };

  // What the home loop is notified of. It may outlive the group, as a posted call.
  struct Inbox {
    std::atomic<std::uint8_t> events{0};  // those that the home loop has not handled
    Hooks hooks;

    void handleEvents();
  };

  bool reserveBelow(std::size_t connectionsMax) noexcept;
  bool takeRequest(Wanted wanted) noexcept;
  void notifyHome(Event event) noexcept;

  std::atomic<std::size_t> size_{0};
  std::atomic<std::size_t> arriving_{0};
  std::size_t arrivingMax_ = ~std::size_t{0};
  std::atomic<bool> isClosing_{false};
  std::atomic<bool> isDraining_{false};
  std::atomic<Wanted> wanted_{Wanted::Nothing};
  std::unique_ptr<PerLoop[]> perLoop_;
  std::size_t loopCount_ = 0;
  MemoryBudget budget_;
  AddressLimit addresses_;
  const RefPtr<Mailbox> home_;
  const std::shared_ptr<Inbox> inbox_;
  const RefPtr<LoopCall> notification_;
};

}  // namespace gyre
