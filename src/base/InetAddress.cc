#include "gyre/base/InetAddress.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace gyre {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kUnixNameOffset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t kUnixNameMax = sizeof(sockaddr_un::sun_path);
static_assert(kUnixNameMax == 108, "the text of the error says so");

constexpr const char* kExamples =
    "; examples: 127.0.0.1:80, [::1]:80, :80 (any IPv4), unix:/run/app.sock, unix:@name";

// What inet_pton and if_nametoindex want: a short text with a terminating zero and none inside.
class ShortText {
 public:
  explicit ShortText(std::string_view text) noexcept {
    fits_ = text.size() < text_.size() && text.find('\0') == std::string_view::npos;
    if (fits_) text.copy(text_.data(), text.size());
  }
  bool fits() const noexcept { return fits_; }
  const char* get() const noexcept { return text_.data(); }

 private:
  std::array<char, INET6_ADDRSTRLEN> text_ = {};
  bool fits_;
};

template <class Number>
bool parseNumber(std::string_view text, Number& number) noexcept {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

// By name first, as an interface may be called "7". Zero is no scope.
bool parseScope(std::string_view text, std::uint32_t& scope) noexcept {
  const ShortText name(text);
  scope = name.fits() ? ::if_nametoindex(name.get()) : 0;
  return scope != 0 || parseNumber(text, scope);
}

std::string scopeToString(std::uint32_t scope) {
  std::array<char, IF_NAMESIZE> name;
  return ::if_indextoname(scope, name.data()) != nullptr ? name.data() : std::to_string(scope);
}

template <class Address>
std::string addressToString(int family, const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text;
  const auto size = static_cast<socklen_t>(text.size());
  return ::inet_ntop(family, &address, text.data(), size);
}

bool isEqual(const in6_addr& a, const in6_addr& b) noexcept {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

// ::1, or 127.0.0.0/8 mapped into IPv6 (RFC 4291, 2.5.5.2: ::ffff:127.x.x.x).
bool isLoopbackV6(const in6_addr& address) noexcept {
  static constexpr std::array<std::uint8_t, 13> kMapped = {0, 0, 0, 0,   0,   0,  0,
                                                           0, 0, 0, 255, 255, 127};
  return isEqual(address, in6addr_loopback) ||
         std::memcmp(&address, kMapped.data(), kMapped.size()) == 0;
}

// What was given is shown up to its 200th byte, and a control character, as what() would end at a
// zero, as a question mark.
std::string explain(std::string_view text, const char* cause) {
  constexpr std::size_t kShownMax = 200;
  std::string shown(text.substr(0, kShownMax));
  const auto isControl = [](unsigned char c) { return c < ' ' || c == 0x7f; };
  std::replace_if(shown.begin(), shown.end(), isControl, '?');
  std::string message = "\"";
  message.append(shown).append(text.size() > kShownMax ? "...\"" : "\"");
  return message.append(" is not an address: ").append(cause).append(kExamples);
}

}  // namespace

// Each function fills in the address and returns null, or returns what is wrong.
struct InetAddress::Parser {
  static const char* parse(std::string_view text, InetAddress& address) noexcept;
  static const char* parseUnix(std::string_view name, InetAddress& address) noexcept;
  static const char* parseBracketed(std::string_view text, InetAddress& address) noexcept;
  static const char* parseV4(std::string_view text, InetAddress& address) noexcept;
  static const char* parseV6(std::string_view host, InetAddress& address) noexcept;
  static const char* parsePort(std::string_view text, std::uint16_t& port) noexcept;
};

const char* InetAddress::Parser::parse(std::string_view text, InetAddress& address) noexcept {
  if (text.empty()) return "it is empty";
  if (text.starts_with(kUnixPrefix)) return parseUnix(text.substr(kUnixPrefix.size()), address);
  if (text.starts_with('[')) return parseBracketed(text, address);
  return parseV4(text, address);
}

const char* InetAddress::Parser::parseUnix(std::string_view name, InetAddress& address) noexcept {
  const bool isAbstract = name.starts_with('@');
  if (name.size() < (isAbstract ? 2 : 1)) return "the path after unix: is missing";
  // An abstract name has a zero in front of it, a path one behind it.
  const std::size_t size = isAbstract ? name.size() : name.size() + 1;
  if (size > kUnixNameMax) {
    return "the path is longer than the system's limit of 108 bytes with its terminating zero";
  }
  if (!isAbstract && name.find('\0') != std::string_view::npos) {
    return "the path has a zero byte in it";
  }
  address.address_.local.sun_family = AF_UNIX;
  name.copy(address.address_.local.sun_path, name.size());
  if (isAbstract) address.address_.local.sun_path[0] = '\0';
  address.length_ = static_cast<socklen_t>(kUnixNameOffset + size);
  return nullptr;
}

const char* InetAddress::Parser::parseBracketed(std::string_view text,
                                                InetAddress& address) noexcept {
  const std::size_t closing = text.find(']');
  if (closing == std::string_view::npos) return "the closing bracket is missing";
  const std::string_view rest = text.substr(closing + 1);
  if (!rest.starts_with(':')) return "after the bracket :port is missing";
  std::uint16_t port = 0;
  if (const char* cause = parsePort(rest.substr(1), port)) return cause;
  address = anyV6(port);
  return parseV6(text.substr(1, closing - 1), address);
}

const char* InetAddress::Parser::parseV6(std::string_view host, InetAddress& address) noexcept {
  const std::size_t percent = host.find('%');
  const ShortText ip(host.substr(0, percent));
  if (!ip.fits() || ::inet_pton(AF_INET6, ip.get(), &address.address_.v6.sin6_addr) != 1) {
    return "what is in the brackets is not an IPv6 address";
  }
  if (percent == std::string_view::npos) return nullptr;
  const bool isScope = parseScope(host.substr(percent + 1), address.address_.v6.sin6_scope_id);
  return isScope ? nullptr : "no network interface has the name or number after the %";
}

const char* InetAddress::Parser::parseV4(std::string_view text, InetAddress& address) noexcept {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return "the port is missing";
  const std::string_view host = text.substr(0, colon);
  if (host.find(':') != std::string_view::npos) return "an IPv6 address needs brackets";
  std::uint16_t port = 0;
  if (const char* cause = parsePort(text.substr(colon + 1), port)) return cause;
  address = any(port);
  if (host.empty() || host == "*") return nullptr;
  const ShortText ip(host);
  if (!ip.fits() || ::inet_pton(AF_INET, ip.get(), &address.address_.v4.sin_addr) != 1) {
    return "the host is not an IPv4 address, and names are not resolved here";
  }
  return nullptr;
}

const char* InetAddress::Parser::parsePort(std::string_view text, std::uint16_t& port) noexcept {
  if (text.empty()) return "the port is missing";
  return parseNumber(text, port) ? nullptr : "the port is not a number from 0 to 65535";
}

InetAddress::InetAddress() noexcept { std::memset(&address_, 0, sizeof address_); }

InetAddress::InetAddress(std::string_view text) : InetAddress() {
  const char* cause = Parser::parse(text, *this);
  if (cause == nullptr) return;
  throw std::system_error(EINVAL, std::generic_category(), "gyre: " + explain(text, cause));
}

std::optional<InetAddress> InetAddress::parse(std::string_view text) noexcept {
  InetAddress address;
  if (Parser::parse(text, address) != nullptr) return std::nullopt;
  return address;
}

std::optional<InetAddress> InetAddress::parse(std::string_view text, std::string& complaint) {
  InetAddress address;
  const char* cause = Parser::parse(text, address);
  if (cause == nullptr) return address;
  complaint = explain(text, cause);
  return std::nullopt;
}

InetAddress InetAddress::any(std::uint16_t port) noexcept {
  InetAddress address;
  address.address_.v4.sin_family = AF_INET;
  address.address_.v4.sin_port = htons(port);
  address.length_ = sizeof(sockaddr_in);
  return address;
}

InetAddress InetAddress::anyV6(std::uint16_t port) noexcept {
  InetAddress address;
  address.address_.v6.sin6_family = AF_INET6;
  address.address_.v6.sin6_port = htons(port);
  address.length_ = sizeof(sockaddr_in6);
  return address;
}

InetAddress InetAddress::loopback(std::uint16_t port) noexcept {
  InetAddress address = any(port);
  address.address_.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

InetAddress InetAddress::loopbackV6(std::uint16_t port) noexcept {
  InetAddress address = anyV6(port);
  address.address_.v6.sin6_addr = in6addr_loopback;
  return address;
}

InetAddress InetAddress::fromSockaddr(const sockaddr* address, socklen_t length) noexcept {
  InetAddress result;
  if (address == nullptr || length < sizeof(sa_family_t)) return result;
  // The family is read as bytes: the caller's memory need not be aligned for a sockaddr.
  sa_family_t family;
  std::memcpy(&family, address, sizeof family);
  socklen_t copied = 0;
  if (family == AF_INET && length >= sizeof(sockaddr_in)) copied = sizeof(sockaddr_in);
  if (family == AF_INET6 && length >= sizeof(sockaddr_in6)) copied = sizeof(sockaddr_in6);
  if (family == AF_UNIX) copied = std::min<socklen_t>(length, sizeof(sockaddr_un));
  std::memcpy(&result.address_, address, copied);
  result.length_ = copied;
  // A path ends at its zero, wherever the caller's length ends. An abstract name has no end mark.
  const sockaddr_un& local = result.address_.local;
  if (family == AF_UNIX && copied > kUnixNameOffset && local.sun_path[0] != '\0') {
    const std::size_t size = ::strnlen(local.sun_path, kUnixNameMax);
    const std::size_t withZero = std::min(size + 1, kUnixNameMax);
    result.length_ = static_cast<socklen_t>(kUnixNameOffset + withZero);
  }
  return result;
}

// As in the socket address: an abstract name with the zero in front, a path without the one behind.
std::string_view InetAddress::unixName() const noexcept {
  const std::string_view name(address_.local.sun_path, length_ - kUnixNameOffset);
  return name.starts_with('\0') ? name : name.substr(0, name.find('\0'));
}

std::string InetAddress::ip() const {
  if (family() == AF_INET) return addressToString(AF_INET, address_.v4.sin_addr);
  if (family() != AF_INET6) return {};
  std::string text = addressToString(AF_INET6, address_.v6.sin6_addr);
  const std::uint32_t scope = address_.v6.sin6_scope_id;
  return scope == 0 ? text : text + "%" + scopeToString(scope);
}

std::uint16_t InetAddress::port() const noexcept {
  if (family() == AF_INET) return ntohs(address_.v4.sin_port);
  return family() == AF_INET6 ? ntohs(address_.v6.sin6_port) : std::uint16_t{0};
}

std::string InetAddress::toString() const {
  switch (family()) {
    case AF_INET: return ip().append(":").append(std::to_string(port()));
    case AF_INET6: return std::string("[").append(ip()).append("]:").append(std::to_string(port()));
    case AF_UNIX: return unixToString();
    default: return "unspecified";
  }
}

std::string InetAddress::path() const {
  if (!isUnix()) return {};
  const std::string_view name = unixName();
  return name.starts_with('\0') ? std::string("@").append(name.substr(1)) : std::string(name);
}

std::string InetAddress::unixToString() const {
  const std::string_view name = unixName();
  std::string text(kUnixPrefix);
  if (name.starts_with('\0')) return text.append("@").append(name.substr(1));
  return text.append(name.starts_with('@') ? "./" : "").append(name);
}

bool InetAddress::isLoopback() const noexcept {
  if (family() == AF_INET) return ntohl(address_.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  return family() == AF_INET6 && isLoopbackV6(address_.v6.sin6_addr);
}

bool InetAddress::isUnspecified() const noexcept {
  if (family() == AF_INET) return address_.v4.sin_addr.s_addr == htonl(INADDR_ANY);
  if (family() == AF_INET6) return isEqual(address_.v6.sin6_addr, in6addr_any);
  return family() == AF_UNSPEC;
}

bool operator==(const InetAddress& a, const InetAddress& b) noexcept {
  if (a.family() != b.family() || a.port() != b.port()) return false;
  switch (a.family()) {
    case AF_INET: return a.address_.v4.sin_addr.s_addr == b.address_.v4.sin_addr.s_addr;
    case AF_INET6:
      return isEqual(a.address_.v6.sin6_addr, b.address_.v6.sin6_addr) &&
             a.address_.v6.sin6_scope_id == b.address_.v6.sin6_scope_id;
    case AF_UNIX: return a.unixName() == b.unixName();
    default: return true;
  }
}

}  // namespace gyre
