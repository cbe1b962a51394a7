// SimPoll: the events of poll(2) that a simulated socket shows.
#pragma once

#include <cstdint>

#include "sim/SimTcp.h"

namespace gyre {

// Those of `wanted` that hold now; POLLERR and POLLHUP always count.
std::uint32_t simPollEvents(const SimSocket& socket, std::uint32_t wanted);

}  // namespace gyre
