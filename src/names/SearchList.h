// SearchList: the names that one is looked up by, as resolv.conf(5) says with search and ndots.
#pragma once

#include <string>
#include <vector>

namespace gyre {

struct SearchList {
  int dotsMin = 1;  // ndots: a name with so many dots is looked up as it is first, else last
  std::vector<std::string> domains;

  // Absolute names, each with a dot at its end, in the order in which they are to be tried. One
  // that ends with a dot already is not searched. Never empty.
  std::vector<std::string> namesOf(const std::string& host) const;
};

// localhost and all names below it, with or without a dot at the end, in any case (RFC 6761, 6.3).
bool isLocalhost(const std::string& host) noexcept;

}  // namespace gyre
