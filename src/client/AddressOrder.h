// AddressOrder: in which order the addresses of a name are tried (RFC 8305, section 4).
#pragma once

#include <vector>

#include "gyre/base/InetAddress.h"

namespace gyre {

// Takes turns, beginning with the first. May throw std::bad_alloc.
GYRE_API std::vector<InetAddress> interleave(const std::vector<InetAddress>& first,
                                             const std::vector<InetAddress>& second);

}  // namespace gyre
