#include "server/InheritedListeners.h"

#include <sys/stat.h>

#include <utility>

namespace gyre {
namespace {

ino_t inodeOf(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 ? status.st_ino : 0;
}

}  // namespace

InheritedListeners& InheritedListeners::ofProcess() {
  static InheritedListeners all;
  return all;
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
