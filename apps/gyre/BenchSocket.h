// BenchSocket: a socket to connect with, for more connections than one address has ports.
#pragma once

#include <cstddef>

#include "gyre/proactor/Proactor.h"

namespace gyre {

// The socket of the connection of that number among all. On loopback every 16 000 have a source
// address of their own.
SocketHandle makeBenchSocket(Proactor& proactor, const InetAddress& to,
                             std::size_t number) noexcept;

}  // namespace gyre
