// Endpoints: both addresses of a connection, packed.
//
// They are kept because the kernel forgets a peer's address after a reset.
// IPv4 and IPv6 are kept whole. Of a unix socket only the family is: its peer is hardly ever named.
#pragma once

#include <array>
#include <cstdint>

#include "gyre/base/Export.h"
#include "gyre/base/InetAddress.h"

namespace gyre {

class GYRE_API Endpoints {
 public:
  Endpoints() noexcept = default;
  Endpoints(const InetAddress& local, const InetAddress& peer) noexcept;

  InetAddress local() const noexcept { return unpack(localIp_, localPort_); }
  InetAddress peer() const noexcept { return unpack(peerIp_, peerPort_); }

 private:
  using Ip = std::array<std::uint8_t, 16>;

  void pack(const InetAddress& address, Ip& ip, std::uint16_t& port) noexcept;
  InetAddress unpack(const Ip& ip, std::uint16_t port) const noexcept;

  Ip peerIp_{};
  Ip localIp_{};
  std::uint32_t scope_ = 0;  // of a link-local IPv6 address: the same for both
  std::uint16_t peerPort_ = 0;
  std::uint16_t localPort_ = 0;
  std::uint16_t family_ = 0;
};

}  // namespace gyre
