// AddressOption: what is wrong with an address that was typed, for a CLI11 check.
#pragma once

#include <string>
#include <system_error>

#include "gyre/base/InetAddress.h"

namespace gyre {

// Empty when it is one.
inline std::string addressComplaint(const std::string& text) {
  try {
    const InetAddress address(text);
    return "";
  } catch (const std::system_error& error) {
    // Without the words around it: "gyre: ", and what the error number means.
    std::string cause = error.what();
    cause.erase(0, cause.find('"'));
    const std::string meaning = ": " + error.code().message();
    return cause.ends_with(meaning) ? cause.substr(0, cause.size() - meaning.size()) : cause;
  }
}

}  // namespace gyre
