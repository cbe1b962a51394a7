// Addresses: what parses is what it says, and its text form parses to the same.
#include <arpa/inet.h>

#include <cstring>
#include <string>

#include "InputReader.h"
#include "gyre/base/InetAddress.h"

namespace gyre {
namespace {

// inet_pton(3) has the last word on digits.
void expectSameBytes(const InetAddress& address) {
  const std::string ip = address.ip();
  if (address.family() == AF_INET) {
    in_addr bytes{};
    expect(::inet_pton(AF_INET, ip.c_str(), &bytes) == 1, "ip() of IPv4 is an address");
    const auto* own = reinterpret_cast<const sockaddr_in*>(address.sockaddrPtr());
    expect(bytes.s_addr == own->sin_addr.s_addr, "ip() names the same IPv4 address");
  } else if (address.family() == AF_INET6) {
    in6_addr bytes{};
    const std::string plain = ip.substr(0, ip.find('%'));
    expect(::inet_pton(AF_INET6, plain.c_str(), &bytes) == 1, "ip() of IPv6 is an address");
    const auto* own = reinterpret_cast<const sockaddr_in6*>(address.sockaddrPtr());
    expect(std::memcmp(&bytes, &own->sin6_addr, sizeof bytes) == 0,
           "ip() names the same IPv6 address");
  }
}

void expectRoundTrip(const InetAddress& address) {
  const std::string text = address.toString();
  const auto again = InetAddress::parse(text);
  expect(again.has_value(), "the text form of an address parses");
  expect(*again == address, "the text form of an address names the same one");
  expect(again->toString() == text, "the text form is the same again");
  const InetAddress copy = InetAddress::fromSockaddr(address.sockaddrPtr(), address.length());
  expect(copy == address, "what the kernel would get is the same address");
}

// The plain form of IPv4, judged by other means.
void expectPlainAccepted(std::string_view text, bool isAccepted) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.find('\0') != std::string_view::npos) return;
  const std::string host(text.substr(0, colon));
  const std::string_view port = text.substr(colon + 1);
  in_addr bytes{};
  if (::inet_pton(AF_INET, host.c_str(), &bytes) != 1) return;
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") < port.size()) return;
  if (port.size() > 1 && port.front() == '0') return;
  expect(isAccepted == (std::stoul(std::string(port)) <= 65'535),
         "1.2.3.4:80 is judged by its port");
}

}  // namespace
}  // namespace gyre

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gyre;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string complaint;
  const auto address = InetAddress::parse(text, complaint);
  expect(address == InetAddress::parse(text), "both forms of parse say the same");
  expect(address.has_value() == complaint.empty(), "who refuses says why");
  expectPlainAccepted(text, address.has_value());
  if (!address) return 0;
  expectSameBytes(*address);
  expectRoundTrip(*address);
  return 0;
}
