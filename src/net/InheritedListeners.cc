#include "net/InheritedListeners.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <system_error>
#include <utility>

#include "net/NewProcess.h"

namespace gyre {
namespace {

ino_t inodeOf(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 ? status.st_ino : 0;
}

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

InheritedListeners& InheritedListeners::ofProcess() {
  static InheritedListeners all;
  return all;
}

void InheritedListeners::readEnvironment() {
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
  std::vector<Socket> sockets;
  for (std::size_t i = 0; i < total; ++i) {
    const int descriptor = SD_LISTEN_FDS_START + static_cast<int>(i);
    std::string key = isHandedOver ? keys[i] : std::string();
    std::string ownedPath = takeOwnedPath(key);
    sockets.push_back({UniqueFd(descriptor), names.get()[i], std::move(key),
                       listeningAddress(descriptor), std::move(ownedPath)});
  }
  add(std::move(sockets), isHandedOver ? Origin::Predecessor : Origin::Systemd);
}

void InheritedListeners::add(std::vector<Socket> sockets, Origin origin) {
  const std::lock_guard lock(mutex_);
  origin_ = origin;
  isShared_ = false;
  for (Socket& socket : sockets) {
    names_.emplace_back(inodeOf(socket.descriptor.get()), socket.name);
    sockets_.push_back(std::move(socket));
  }
}

bool InheritedListeners::matches(const Socket& socket, const Wanted& wanted,
                                 ListenerMatch match) const {
  const InetAddress& bound = socket.address;
  if (bound.family() == AF_UNSPEC) return false;
  switch (match) {
    case ListenerMatch::Key: return !socket.key.empty() && socket.key == wanted.key;
    case ListenerMatch::Address: return bound == wanted.address;
    case ListenerMatch::Wildcard:
      return bound.isUnspecified() && wanted.address.isUnspecified() && bound.port() != 0 &&
             bound.port() == wanted.address.port();
    case ListenerMatch::Name:
      return socket.name == wanted.server || socket.name == wanted.server + ".socket";
    case ListenerMatch::Unasked: return origin_ == Origin::Systemd && !isShared_;
  }
  return false;
}

template <typename Predicate>
std::vector<InheritedListeners::Socket> InheritedListeners::takeIf(Predicate isMeant) {
  const std::lock_guard lock(mutex_);
  std::vector<Socket> taken;
  std::vector<Socket> left;
  for (Socket& socket : sockets_) (isMeant(socket) ? taken : left).push_back(std::move(socket));
  sockets_ = std::move(left);
  return taken;
}

std::vector<InheritedListeners::Socket> InheritedListeners::take(const Wanted& wanted,
                                                                 ListenerMatch match) {
  return takeIf([&](const Socket& socket) { return matches(socket, wanted, match); });
}

std::vector<InheritedListeners::Socket> InheritedListeners::takeNamed(std::string_view name) {
  return takeIf([name](const Socket& socket) { return socket.name == name; });
}

std::vector<InheritedListeners::Socket> InheritedListeners::takeAll() {
  const std::lock_guard lock(mutex_);
  return std::exchange(sockets_, {});
}

void InheritedListeners::shareAmongServers() {
  const std::lock_guard lock(mutex_);
  isShared_ = true;
}

std::string InheritedListeners::nameOf(int descriptor) const {
  const ino_t inode = inodeOf(descriptor);
  const std::lock_guard lock(mutex_);
  for (const auto& [known, name] : names_) {
    if (known == inode) return name;
  }
  return "unknown";
}

}  // namespace gyre
