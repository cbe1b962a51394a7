// AddressOption: an address or a name and a port, as typed, and the addresses it stands for.
#pragma once

#include <string>
#include <vector>

#include "gyre/base/InetAddress.h"

namespace gyre {

// What is wrong with it, for a CLI11 check; empty when it is an address or NAME:PORT.
std::string addressComplaint(const std::string& text);

// The address itself, or those of the name that this machine has and can listen on. Throws
// std::runtime_error naming cause and fix.
std::vector<InetAddress> listenAddresses(const std::string& text);

// The address itself, or that of the name's which is connected to first (one connection, which is
// closed at once). Throws std::runtime_error naming cause and fix.
InetAddress connectAddress(const std::string& text);

}  // namespace gyre
