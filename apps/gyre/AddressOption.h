// AddressOption: what is wrong with an address that was typed, for a CLI11 check.
#pragma once

#include <string>

#include "gyre/base/InetAddress.h"

namespace gyre {

// Empty when it is one.
inline std::string addressComplaint(const std::string& text) {
  std::string complaint;
  InetAddress::parse(text, complaint);
  return complaint;
}

}  // namespace gyre
