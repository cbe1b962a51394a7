// Admission: whether a socket that was accepted becomes a connection.
//
// Thread  Any loop of the server.
#pragma once

#include <atomic>
#include <cstdint>

#include "connection/ConnectionGroup.h"
#include "gyre/connection/Callbacks.h"
#include "gyre/proactor/Proactor.h"
#include "gyre/server/ServerLimits.h"
#include "gyre/server/ServerStats.h"

namespace gyre {

class Admission {
 public:
  explicit Admission(RefPtr<ConnectionGroup> group) : group_(std::move(group)) {}

  // Before start
  void setLimits(const ServerLimits& limits);
  void setFilter(AcceptFilter filter) { filter_ = std::move(filter); }

  // By memory budget, filter and address. False: the caller closes the socket. True: it reserves a
  // place, or calls refuseAtMax() or ConnectionGroup::turnAway(). May throw what the filter throws,
  // and std::bad_alloc.
  bool admits(Proactor& proactor, SocketHandle socket, std::uint64_t id);
  // A place for one more connection, which is given back by ConnectionGroup::remove() or release();
  // false at connectionsMax.
  bool reserve() noexcept { return group_->reserve(limits_.connectionsMax); }
  // There was no place, and the client does not wait for one: the caller closes the socket.
  void refuseAtMax(std::uint64_t id) noexcept;

  // True when clients beyond connectionsMax are to wait.
  bool waits() const noexcept { return limits_.atConnectionsMax == OverloadPolicy::Wait; }
  // Base loop. Whether there is something to be accepted for, at the moment.
  bool hasCapacity() const noexcept { return group_->hasCapacity(maxToWaitFor()); }
  // Base loop. As ConnectionGroup::requestCapacity().
  bool requestCapacity() noexcept { return group_->requestCapacity(maxToWaitFor()); }

  ConnectionGroup& group() noexcept { return *group_; }
  void fill(ServerStats& stats) const noexcept;

 private:
  // Where those beyond it are refused, accepting goes on.
  std::size_t maxToWaitFor() const noexcept { return waits() ? limits_.connectionsMax : 0; }
  bool refuse(std::atomic<std::uint64_t>& cause) noexcept;

  const RefPtr<ConnectionGroup> group_;
  ServerLimits limits_;
  AcceptFilter filter_;
  std::atomic<std::uint64_t> asked_{0};
  std::atomic<std::uint64_t> byFilter_{0};
  std::atomic<std::uint64_t> byAddress_{0};
  std::atomic<std::uint64_t> byConnections_{0};
  std::atomic<std::uint64_t> byMemory_{0};
};

}  // namespace gyre
