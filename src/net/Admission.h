// Admission: whether a socket that was accepted becomes a connection.
//
// Thread  Any loop of the server.
#pragma once

#include <atomic>
#include <cstdint>

#include "gyre/net/Callbacks.h"
#include "gyre/net/ServerLimits.h"
#include "gyre/net/ServerStats.h"
#include "gyre/proactor/Proactor.h"
#include "net/ConnectionGroup.h"

namespace gyre {

class Admission {
 public:
  enum class Answer : std::uint8_t { Enter, Wait, Refuse };

  explicit Admission(RefPtr<ConnectionGroup> group) : group_(std::move(group)) {}

  // Before start
  void setLimits(const ServerLimits& limits);
  void setFilter(AcceptFilter filter) { filter_ = std::move(filter); }

  // Refuse: the caller closes it. May throw what the filter throws, and std::bad_alloc.
  Answer ask(Proactor& proactor, SocketHandle socket, std::uint64_t id);
  // True when no more connections may be added, and the others are to wait.
  bool isFull() const noexcept { return waits() && isAtMax(); }
  std::size_t connectionsMax() const noexcept { return limits_.connectionsMax; }
  void fill(ServerStats& stats) const noexcept;

 private:
  bool waits() const noexcept { return limits_.atConnectionsMax == OverloadPolicy::Wait; }
  bool isAtMax() const noexcept;
  Answer refuse(std::atomic<std::uint64_t>& cause) noexcept;
  bool entersByAddress(Proactor& proactor, SocketHandle socket, std::uint64_t id);

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
