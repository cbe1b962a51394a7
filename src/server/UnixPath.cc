#include "server/UnixPath.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

namespace gyre {

UnixPath::UnixPath(const InetAddress& address) : path_(address.path()) {
  if (path_.starts_with('@')) path_.clear();
  if (path_.empty()) return;
  std::error_code none;
  const std::filesystem::path absolute = std::filesystem::absolute(path_, none);
  if (!none) path_ = absolute.string();
}

void UnixPath::take() noexcept {
  struct stat status {};
  if (path_.empty() || ::stat(path_.c_str(), &status) != 0) return;
  isTaken_ = true;
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

UnixPath::~UnixPath() {
  struct stat status {};
  if (!isTaken_ || path_.empty() || ::stat(path_.c_str(), &status) != 0) return;
  if (status.st_dev == device_ && status.st_ino == inode_) ::unlink(path_.c_str());
}

}  // namespace gyre
