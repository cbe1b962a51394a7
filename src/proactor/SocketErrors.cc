#include "proactor/SocketErrors.h"

#include <cerrno>
#include <system_error>

namespace gyre {
namespace {

const char* listenCure(int error, const InetAddress& address) {
  switch (error) {
    case EADDRINUSE:
      return address.isUnix()
                 ? "another process listens there, or it is no socket: remove it, or choose another"
                 : "another process listens there: stop it, or choose another port";
    case EACCES:
      if (address.isUnix()) return "no permission in that directory";
      return "a port below 1024 needs root or CAP_NET_BIND_SERVICE: choose a higher one";
    case EADDRNOTAVAIL:
      return "no interface of this machine has that address; 0.0.0.0 or [::] is any";
    case EAFNOSUPPORT: return "the kernel has no such address family here: use an IPv4 address";
    case ENOENT: return "the directory of that path does not exist";
    case EMFILE:
    case ENFILE: return "out of descriptors: raise RLIMIT_NOFILE (ulimit -n)";
    case ENOBUFS:
    case ENOMEM: return "the kernel is short of memory";
    default: return "the address cannot be listened on";
  }
}

}  // namespace

const char* descriptorCure(int error) noexcept {
  switch (error) {
    case EMFILE: return "raise RLIMIT_NOFILE (ulimit -n)";
    case ENFILE: return "raise sysctl fs.file-max";
    case ENOSPC: return "raise sysctl fs.epoll.max_user_watches";
    case ENOMEM: return "the kernel is short of memory, or the memory cgroup is full";
    default: return "the kernel, or a seccomp filter, refuses it";
  }
}

void throwListenError(int error, const InetAddress& address) {
  throwSetupError(error, "cannot listen on " + address.toString(), listenCure(error, address));
}

void throwSetupError(int error, const std::string& what, const std::string& cure) {
  // system_error puts ": strerror" after its text, so the cure stands before it.
  throw std::system_error(error, std::generic_category(), what + " (" + cure + ")");
}

}  // namespace gyre
