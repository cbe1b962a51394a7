#include "AddressOption.h"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <stdexcept>

#include "gyre/base/UniqueFd.h"
#include "gyre/client/TcpClient.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/names/Resolver.h"

namespace gyre {
namespace {

constexpr std::size_t kHostMax = 253;

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

// With a letter in it: what has none was meant to be an IPv4 address.
bool isHost(const std::string& text) {
  const auto fits = [](char c) {
    return isLetter(c) || isDigit(c) || c == '-' || c == '_' || c == '.';
  };
  return text.size() <= kHostMax && std::all_of(text.begin(), text.end(), fits) &&
         std::any_of(text.begin(), text.end(), isLetter);
}

std::optional<HostPort> parseHostPort(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  HostPort name{text.substr(0, colon), 0};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, name.port);
  if (error != std::errc() || stop != end || !isHost(name.host)) return std::nullopt;
  return name;
}

// Nothing here is worth a ring.
ProactorOptions plainEngine() {
  ProactorOptions options;
  options.engine = Engine::Epoll;
  return options;
}

bool canListen(const InetAddress& address) {
  const UniqueFd probe(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe) return false;
  // Any port: that the one wanted is taken is a fault of its own, which listening names.
  const InetAddress any(address.family() == AF_INET6 ? "[" + address.ip() + "]:0"
                                                     : address.ip() + ":0");
  return ::bind(probe.get(), any.sockaddrPtr(), any.length()) == 0;
}

[[noreturn]] void fail(const std::string& text, const std::string& cause) {
  throw std::runtime_error(text + ": " + cause + " (check the name, or give an address)");
}

}  // namespace

std::string addressComplaint(const std::string& text) {
  std::string complaint;
  if (!InetAddress::parse(text, complaint) && parseHostPort(text)) return "";
  return complaint;
}

std::vector<InetAddress> listenAddresses(const std::string& text) {
  const auto name = parseHostPort(text);
  if (!name || InetAddress::parse(text)) return {InetAddress(text)};
  EventLoop loop(plainEngine());
  Resolver resolver(&loop);
  ResolveResult result;
  resolver.resolve(*name, [&](const ResolveResult& found) {
    result = found;
    loop.quit();
  });
  loop.loop();
  if (result.error) fail(text, result.error.message());
  std::vector<InetAddress> own;
  std::copy_if(result.addresses.begin(), result.addresses.end(), std::back_inserter(own),
               canListen);
  if (own.empty()) fail(text, "no address of that name belongs to this machine");
  return own;
}

InetAddress connectAddress(const std::string& text) {
  const auto name = parseHostPort(text);
  if (!name || InetAddress::parse(text)) return InetAddress(text);
  EventLoop loop(plainEngine());
  Resolver resolver(&loop);
  TcpClient client(&loop, &resolver, *name, "look-up");
  ConnectOptions once;
  once.backoff.attempts = 1;
  client.setConnectOptions(once);
  InetAddress connected;
  std::string cause;
  client.setConnectionCallback([&](const TcpConnectionPtr& connection) {
    if (connection->connected()) connected = connection->peerAddress();
    loop.quit();
  });
  client.setConnectFailedCallback([&](const ConnectFailure& failure) {
    cause = failure.error.message();
    if (!failure.retryAfter) loop.quit();
  });
  client.connect();
  loop.loop();
  if (connected.family() == AF_UNSPEC) fail(text, cause);
  return connected;
}

}  // namespace gyre
