#include "gyre/connection/Endpoints.h"

#include <cstring>

namespace gyre {

Endpoints::Endpoints(const InetAddress& local, const InetAddress& peer) noexcept {
  pack(local, localIp_, localPort_);
  pack(peer, peerIp_, peerPort_);
}

void Endpoints::pack(const InetAddress& address, Ip& ip, std::uint16_t& port) noexcept {
  if (address.family() != AF_UNSPEC) family_ = address.family();
  port = address.port();
  if (address.family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address.sockaddrPtr());
    std::memcpy(ip.data(), &v4->sin_addr, sizeof v4->sin_addr);
  } else if (address.family() == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address.sockaddrPtr());
    std::memcpy(ip.data(), &v6->sin6_addr, sizeof v6->sin6_addr);
    if (v6->sin6_scope_id != 0) scope_ = v6->sin6_scope_id;
  }
}

InetAddress Endpoints::unpack(const Ip& ip, std::uint16_t port) const noexcept {
  sockaddr_storage storage{};
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  storage.ss_family = family_;
  switch (family_) {
    case AF_INET: {
      auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
      v4->sin_port = htons(port);
      std::memcpy(&v4->sin_addr, ip.data(), sizeof v4->sin_addr);
      return InetAddress::fromSockaddr(address, sizeof *v4);
    }
    case AF_INET6: {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
      v6->sin6_port = htons(port);
      std::memcpy(&v6->sin6_addr, ip.data(), sizeof v6->sin6_addr);
      // fe80::/10 is the only unicast range that a scope belongs to.
      if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) v6->sin6_scope_id = scope_;
      return InetAddress::fromSockaddr(address, sizeof *v6);
    }
    case AF_UNIX: return InetAddress::fromSockaddr(address, sizeof storage.ss_family);
    default: return InetAddress();
  }
}

}  // namespace gyre
