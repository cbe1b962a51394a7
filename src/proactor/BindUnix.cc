#include "proactor/BindUnix.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "gyre/base/UniqueFd.h"

namespace gyre {
namespace {

bool isPath(const std::string& name) { return !name.empty() && !name.starts_with('@'); }

// Nobody listens: the socket file was left behind.
bool isStale(const InetAddress& address, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return probe && ::connect(probe.get(), address.sockaddrPtr(), address.length()) != 0 &&
         errno == ECONNREFUSED;
}

int bindTo(int fd, const InetAddress& address) {
  return ::bind(fd, address.sockaddrPtr(), address.length()) == 0 ? 0 : errno;
}

}  // namespace

int bindUnix(int fd, const InetAddress& address, std::uint32_t mode) noexcept {
  const std::string path = address.path();
  int error = bindTo(fd, address);
  if (error == EADDRINUSE && isPath(path) && isStale(address, path) &&
      ::unlink(path.c_str()) == 0) {
    error = bindTo(fd, address);
  }
  if (error != 0 || mode == 0 || !isPath(path)) return error;
  return ::chmod(path.c_str(), static_cast<mode_t>(mode)) == 0 ? 0 : errno;
}

}  // namespace gyre
