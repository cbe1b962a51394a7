// InetAddress: a socket address as a value: IPv4, IPv6 or a unix path.
//
// Text forms, the same for parsing and for toString:
//   1.2.3.4:80      [::1]:80      [fe80::1%eth0]:80 (scope by name or number)
//   :80 and *:80    any IPv4 address
//   unix:/path      unix:@name (abstract; a file whose name begins with @ is unix:./@name)
// Host names are not resolved here. The port is required, 0..65535.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gyre/base/Export.h"

namespace gyre {

class GYRE_API InetAddress {
 public:
  // AF_UNSPEC, length 0.
  InetAddress() noexcept;
  // Throws std::system_error (EINVAL) whose text says what is wrong with the address.
  explicit InetAddress(std::string_view text);

  static std::optional<InetAddress> parse(std::string_view text) noexcept;
  // The same; when it is none, `complaint` says what was given and what is wrong with it.
  static std::optional<InetAddress> parse(std::string_view text, std::string& complaint);
  static InetAddress any(std::uint16_t port) noexcept;
  static InetAddress anyV6(std::uint16_t port) noexcept;
  static InetAddress loopback(std::uint16_t port) noexcept;
  static InetAddress loopbackV6(std::uint16_t port) noexcept;
  // Copies what the kernel gave. Unspecified when the family is unknown or the length too short.
  static InetAddress fromSockaddr(const sockaddr* address, socklen_t length) noexcept;

  sa_family_t family() const noexcept { return address_.plain.sa_family; }
  // Without port and brackets, with the scope: "fe80::1%eth0". Empty when not IPv4 or IPv6.
  std::string ip() const;
  // Host order; 0 when not IPv4 or IPv6.
  std::uint16_t port() const noexcept;
  // Of a unix address: its path, or "@name" when it is abstract. Else empty.
  std::string path() const;
  // An unnamed unix socket is "unix:", the default-constructed address "unspecified".
  std::string toString() const;

  const sockaddr* sockaddrPtr() const noexcept { return &address_.plain; }
  socklen_t length() const noexcept { return length_; }

  bool isUnix() const noexcept { return family() == AF_UNIX; }
  // 127.0.0.0/8, ::1 and IPv4 loopback mapped into IPv6. A unix address is not.
  bool isLoopback() const noexcept;
  // The default-constructed address, 0.0.0.0 and ::
  bool isUnspecified() const noexcept;

  // Equal when they name the same endpoint; the IPv6 flow label does not count.
  friend GYRE_API bool operator==(const InetAddress& a, const InetAddress& b) noexcept;

 private:
  struct Parser;

  std::string_view unixName() const noexcept;
  std::string unixToString() const;

  union {
    sockaddr plain;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  } address_;
  socklen_t length_ = 0;
};

}  // namespace gyre
