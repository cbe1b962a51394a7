// InheritedListeners: the sockets this process was started with, until a server takes them.
//
// Thread  Any.
// Owns    The sockets that nobody has taken.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gyre/base/InetAddress.h"
#include "gyre/base/UniqueFd.h"

namespace gyre {

// How a listener of a server finds its sockets, the surest way first.
enum class ListenerMatch : std::uint8_t {
  Key,       // the old process had it for the same listener
  Address,   // it is bound to the wanted address
  Wildcard,  // it is bound to all addresses, perhaps of the other family, at the wanted port
  Name,      // it is named as the server: NAME or NAME.socket
  Unasked,   // systemd passed it, and there is one server only
};

// A listening socket that another process inherits.
struct HandedListener {
  int descriptor = -1;
  std::string name;  // as systemd's FileDescriptorName=
  std::string key;   // which listener of which server it is: the same in the next process
};

// Follows the key of a unix listener whose file goes when the server does, before its absolute
// path: what the listener is bound to may be relative to a directory that has changed.
inline constexpr std::string_view kOwnsPath = " (owns its path) ";

class GYRE_API InheritedListeners {
 public:
  struct Socket {
    UniqueFd descriptor;
    std::string name;       // systemd's FileDescriptorName=
    std::string key;        // which listener of which server it was in the old process, or empty
    InetAddress address;    // unspecified when it is no listening stream socket
    std::string ownedPath;  // of a unix socket, whose file the last server of the program removes
  };
  enum class Origin { Systemd, Predecessor };
  struct Wanted {
    std::string server;
    std::string key;
    InetAddress address;
  };

  // Of the process, as its environment is.
  static InheritedListeners& ofProcess();

  // Where the process got them from is known to service/ListenerEnvironment.h.
  void add(std::vector<Socket> sockets, Origin origin);
  std::vector<Socket> take(const Wanted& wanted, ListenerMatch match);
  std::vector<Socket> takeNamed(std::string_view name);
  std::vector<Socket> takeAll();
  // There is more than one server: from now on none takes what was not meant for it.
  void shareAmongServers();
  // The name that this socket was inherited with; "unknown", as systemd says, for others.
  std::string nameOf(int descriptor) const;

 private:
  template <typename Predicate>
  std::vector<Socket> takeIf(Predicate isMeant);
  bool matches(const Socket& socket, const Wanted& wanted, ListenerMatch match) const;

  mutable std::mutex mutex_;
  std::vector<Socket> sockets_;
  std::vector<std::pair<ino_t, std::string>> names_;
  Origin origin_ = Origin::Systemd;
  bool isShared_ = false;
};

}  // namespace gyre
