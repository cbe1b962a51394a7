// ServerLimits: what a server admits and what its connections may hold, all loops together.
//
// Thread  Given before start(), then read by all loops.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gyre/base/Export.h"

namespace gyre {

// What happens to clients beyond connectionsMax.
enum class OverloadPolicy : std::uint8_t {
  Wait,    // they stay in the kernel's backlog, and are served when others have gone
  Refuse,  // they are accepted and closed at once
};

// Zero: no limit.
struct ServerLimits {
  std::size_t connectionsMax = 0;
  OverloadPolicy atConnectionsMax = OverloadPolicy::Wait;
  // From one IP address; beyond it a client is closed at once. An IPv4 address counts the same when
  // it comes mapped into IPv6. Unix sockets have no such limit.
  std::size_t connectionsPerAddressMax = 0;
  // IPv6 addresses with the same leading bits count as one, because a network is what a customer is
  // given. REQUIRES: 1 to 128; 128: each address by itself.
  unsigned ipv6PrefixPerAddress = 64;
  // Bytes in send queues and of unread input, counted per connection in steps of 4 KiB, rounded
  // down. From 1/2 of it on, connections that hold more than their equal share are not read; from
  // 3/4 on, new clients are closed at once; from 7/8 on, whoever holds most on the loop that needs
  // more is aborted; at the whole, whoever needs more is. Who is not read and holds a message that
  // only more bytes could complete is aborted when nothing of it has moved for ten seconds: such
  // clients would otherwise hold the budget for ever.
  std::size_t memoryBudget = 0;
};

// To which loop a new connection goes.
enum class Placement : std::uint8_t {
  RoundRobin,         // in turn, exactly
  FewestConnections,  // to the loop that has the fewest of this server's
};

}  // namespace gyre
