#include "client/AddressOrder.h"

#include <algorithm>

namespace gyre {

std::vector<InetAddress> interleave(const std::vector<InetAddress>& first,
                                    const std::vector<InetAddress>& second) {
  std::vector<InetAddress> all;
  all.reserve(first.size() + second.size());
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) all.push_back(first[i]);
    if (i < second.size()) all.push_back(second[i]);
  }
  return all;
}

}  // namespace gyre
