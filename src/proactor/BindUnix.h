// BindUnix: binds a listener to a unix address.
#pragma once

#include <cstdint>

#include "gyre/base/InetAddress.h"

namespace gyre {

// Binds, and gives the path these permissions (0: what the umask leaves) before anybody can
// connect. A path whose listener has died is taken over; any other that exists is left alone.
// 0 or an errno value; EADDRINUSE for a path that is in use or no socket.
int bindUnix(int fd, const InetAddress& address, std::uint32_t mode) noexcept;

}  // namespace gyre
