// Resolver: host names to addresses, without blocking the loop. What is behind it is c-ares.
//
// Names are looked up as the system says: /etc/hosts (read at each look-up), then the name servers
// of /etc/resolv.conf with its search list. The questions for IPv4 and for IPv6 addresses are
// independent: a server that answers one of them only costs 50 ms (RFC 8305, section 3), not the
// timeout. Each family is sorted by RFC 6724. Literal addresses are taken as they are, IPv6 also
// with a scope. localhost and all names below it are ::1 and 127.0.0.1, and no server is asked
// (RFC 6761, section 6.3). Nothing is cached.
//
// Thread  The loop's (CHECKed).
// Owns    Its sockets and queries.
// Borrows The loop.
// Ends    At any time on the loop's thread, also inside a callback: those not told by then are not.
#pragma once

#include <cstddef>
#include <memory>

#include "gyre/base/Export.h"
#include "gyre/client/NameResolver.h"
#include "gyre/names/ResolverOptions.h"

namespace gyre {

class ResolverCore;

class GYRE_API Resolver final : public NameResolver {
 public:
  // Throws std::system_error naming cause and cure. REQUIRES: on the loop's thread.
  explicit Resolver(EventLoop* loop, const ResolverOptions& options = {});
  ~Resolver() override;

  // --- Loop thread (CHECKed)

  // Runs the callback once: when both families have been answered, or 50 ms after the first
  // addresses.
  ResolveId resolve(const HostPort& name, ResolveCallback callback);
  // Runs the callback once or twice, as addresses come: with those of IPv6 at once, with those of
  // IPv4 50 ms after them, and with those of the other family when they have come or will not
  // (ResolveResult::isLast). So nothing that is found late is lost.
  ResolveId resolveEach(const HostPort& name, ResolveCallback callback) override;
  // The callback does not run any more. The question itself cannot be taken back: the answer to it
  // is thrown away. Nothing when it has been told.
  void cancel(ResolveId query) override;
  // Neither told nor cancelled.
  std::size_t pendingCount() const;

  // --- Any thread

  EventLoop* getLoop() const noexcept override;

 private:
  const std::shared_ptr<ResolverCore> core_;
};

}  // namespace gyre
