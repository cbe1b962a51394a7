// Resolver: host names to addresses, without blocking the loop. What is behind it is c-ares.
//
// Names are looked up as the system says: /etc/hosts (read at each lookup), then the name servers
// of /etc/resolv.conf, for IPv4 and IPv6 addresses, sorted by what is reachable from here
// (RFC 6724). Literal addresses are taken as they are, IPv6 also with a scope. Nothing is cached.
//
// Thread  The loop's.
// Owns    Its sockets and queries.
// Borrows The loop.
// Ends    At any time on the loop's thread, also inside a callback: those not told by then are not.
#pragma once

#include <cstddef>
#include <memory>

#include "gyre/base/Export.h"
#include "gyre/net/ResolveResult.h"

namespace gyre {

class EventLoop;
class ResolverCore;

class GYRE_API Resolver {
 public:
  // Throws std::system_error naming cause and cure. REQUIRES: on the loop's thread.
  explicit Resolver(EventLoop* loop, const ResolverOptions& options = {});
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  ~Resolver();

  ResolveId resolve(const HostPort& name, ResolveCallback callback);
  // Its callback does not run any more. The question itself cannot be taken back: the answer to it
  // is thrown away. Nothing when it has been told.
  void cancel(ResolveId query);
  // Neither told nor cancelled.
  std::size_t pendingCount() const noexcept;

 private:
  const std::shared_ptr<ResolverCore> core_;
};

}  // namespace gyre
