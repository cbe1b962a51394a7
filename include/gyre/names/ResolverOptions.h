// ResolverOptions: whom a Resolver asks, and for how long.
#pragma once

#include <vector>

#include "gyre/base/InetAddress.h"
#include "gyre/base/Time.h"
#include "gyre/client/ResolveResult.h"

namespace gyre {

struct ResolverOptions {
  // For a whole query, all tries and servers included. Zero: no limit but that of the tries.
  TimeSpan timeout = std::chrono::seconds(10);
  // How long one server is waited for at first; it doubles each time that all have been asked. In
  // whole milliseconds. Zero: no limit, so that no second server and no second try has its turn
  // (c-ares counts to some days).
  TimeSpan tryTimeout = std::chrono::seconds(2);
  int tries = 3;  // how often all servers are asked, 1 or more
  AddressFamily family = AddressFamily::Any;
  // Name servers with their ports, instead of those of /etc/resolv.conf.
  std::vector<InetAddress> servers;
};

}  // namespace gyre
