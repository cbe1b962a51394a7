#include "net/UnixPath.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace gyre {

UnixPath::UnixPath(const InetAddress& address) {
  const std::string path = address.path();
  struct stat status {};
  if (path.empty() || path.starts_with('@') || ::stat(path.c_str(), &status) != 0) return;
  path_ = path;
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

UnixPath::UnixPath(UnixPath&& other) noexcept
    : path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_) {}

UnixPath& UnixPath::operator=(UnixPath&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

UnixPath::~UnixPath() {
  struct stat status {};
  if (path_.empty() || ::stat(path_.c_str(), &status) != 0) return;
  if (status.st_dev == device_ && status.st_ino == inode_) ::unlink(path_.c_str());
}

}  // namespace gyre
