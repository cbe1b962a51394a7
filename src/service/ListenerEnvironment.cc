#include "service/ListenerEnvironment.h"

#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "service/NewProcess.h"

namespace gyre {
namespace {

InetAddress listeningAddress(int descriptor) {
  if (::sd_is_socket(descriptor, AF_UNSPEC, SOCK_STREAM, 1) <= 0) return InetAddress();
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(descriptor, address, &length) != 0) return InetAddress();
  return InetAddress::fromSockaddr(address, length);
}

// Line by line. Without the variable there are none.
std::vector<std::string> takeKeys() {
  std::vector<std::string> keys;
  const char* text = std::getenv(kListenersVariable);
  if (text == nullptr) return keys;
  for (const char* end = text; *text != '\0' || end != text; text = end + 1) {
    end = std::strchr(text, '\n');
    if (end == nullptr) end = text + std::strlen(text);
    keys.emplace_back(text, end);
    if (*end == '\0') break;
  }
  ::unsetenv(kListenersVariable);
  return keys;
}

// Takes it off the key.
std::string takeOwnedPath(std::string& key) {
  const std::size_t at = key.find(kOwnsPath);
  if (at == std::string::npos) return {};
  std::string path = key.substr(at + kOwnsPath.size());
  key.resize(at);
  return path;
}

struct FreeNames {
  void operator()(char** names) const noexcept {
    for (char** name = names; *name != nullptr; ++name) std::free(*name);
    std::free(names);
  }
};

}  // namespace

void readInheritedListeners(InheritedListeners& into) {
  constexpr int kUnsetEnvironment = 1;
  const std::vector<std::string> keys = takeKeys();
  ::unsetenv("LISTEN_PIDFDID");  // libsystemd before 259 does not know it
  char** list = nullptr;
  const int count = ::sd_listen_fds_with_names(kUnsetEnvironment, &list);
  const std::unique_ptr<char*, FreeNames> names(list);
  if (count < 0) {
    throw std::system_error(-count, std::generic_category(),
                            "cannot take over the sockets of LISTEN_FDS and LISTEN_FDNAMES");
  }
  const auto total = static_cast<std::size_t>(count);
  const bool isHandedOver = total != 0 && keys.size() == total;
  std::vector<InheritedListeners::Socket> sockets;
  for (std::size_t i = 0; i < total; ++i) {
    const int descriptor = SD_LISTEN_FDS_START + static_cast<int>(i);
    std::string key = isHandedOver ? keys[i] : std::string();
    std::string ownedPath = takeOwnedPath(key);
    sockets.push_back({UniqueFd(descriptor), names.get()[i], std::move(key),
                       listeningAddress(descriptor), std::move(ownedPath)});
  }
  using Origin = InheritedListeners::Origin;
  into.add(std::move(sockets), isHandedOver ? Origin::Predecessor : Origin::Systemd);
}

}  // namespace gyre
