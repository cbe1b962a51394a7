// How a server finds the listening sockets that its process was started with, and passes its own
// on.
#include <string>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/server/TcpServer.h"
#include "server/InheritedListeners.h"
#include "server/UnixPath.h"

namespace gyre {

// The same for the same listener of the same program, in the old process and in the new one.
std::string TcpServer::listenerKey(const Listener& listener) const {
  return name() + '/' + std::to_string(listener.group) + '/' + listener.wanted.toString();
}

// Each listener asks by the surest way before any asks by a vaguer one. By name, and unasked, come
// sockets in place of the address that the constructor was given.
void TcpServer::takeInherited() {
  const std::size_t given = listeners_.size();
  for (std::size_t i = 0; i < given; ++i) listeners_[i].group = i;
  for (const ListenerMatch match :
       {ListenerMatch::Key, ListenerMatch::Address, ListenerMatch::Wildcard}) {
    for (std::size_t i = 0; i < given; ++i) takeInherited(i, match);
  }
  takeInherited(0, ListenerMatch::Name);
  takeInherited(0, ListenerMatch::Unasked);
}

void TcpServer::takeInherited(std::size_t place, ListenerMatch match) {
  if (listeners_[place].inherited) return;
  const InheritedListeners::Wanted wanted{name(), listenerKey(listeners_[place]),
                                          listeners_[place].wanted};
  for (auto& socket : InheritedListeners::ofProcess().take(wanted, match)) {
    logInfo("server {} takes over the socket {} ({})", name(), socket.address.toString(),
            socket.name);
    std::size_t taker = place;
    if (listeners_[place].inherited) {
      taker = listeners_.size();
      Listener more;
      more.wanted = wanted.address;
      more.group = place;
      listeners_.push_back(std::move(more));
    }
    listeners_[taker].inherited = std::move(socket.descriptor);
    listeners_[taker].ownedPath = std::move(socket.ownedPath);
  }
}

std::vector<HandedListener> TcpServer::listenersToHandOver() const {
  std::vector<HandedListener> handed;
  const InheritedListeners& all = InheritedListeners::ofProcess();
  for (const Listener& listener : listeners_) {
    std::string key = listenerKey(listener);
    if (listener.path != nullptr && !listener.path->path().empty()) {
      key.append(kOwnsPath).append(listener.path->path());
    }
    for (const SocketHandle socket : listener.sockets) {
      handed.push_back({socket.value(), all.nameOf(socket.value()), key});
    }
  }
  return handed;
}

}  // namespace gyre
