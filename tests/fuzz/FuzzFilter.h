// FuzzFilter: flips bits on the wire, and so can be told from no filter at all.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gyre/connection/ConnectionFilter.h"

namespace gyre {

inline void flip(std::span<char> bytes) {
  for (char& byte : bytes) byte = static_cast<char>(byte ^ 0x5A);
}
inline std::string flipped(std::string_view bytes) {
  std::string result(bytes);
  flip(result);
  return result;
}

class FuzzFilter final : public ConnectionFilter {
 public:
  bool decode(std::string_view received, Buffer& plain, Buffer&) override {
    plain.append(flipped(received));
    return true;
  }
  bool encode(std::string_view plain, Buffer& wire) override {
    wire.append(flipped(plain));
    return true;
  }
  void finish(Buffer&) override {}
};

}  // namespace gyre
