// UnixPath: the file of a unix listener, removed when the listener ends.
//
// Thread  One at a time.
// Owns    The file, unless keep() was called or another listener has taken its place meanwhile.
#pragma once

#include <sys/types.h>

#include <string>

#include "gyre/base/InetAddress.h"

namespace gyre {

class UnixPath {
 public:
  UnixPath() = default;
  // Of a listener that was just bound. Nothing for an abstract or unnamed address, or another
  // family.
  explicit UnixPath(const InetAddress& address);
  UnixPath(UnixPath&& other) noexcept;
  UnixPath& operator=(UnixPath&& other) noexcept;
  ~UnixPath();

  // Another process goes on listening there.
  void keep() noexcept { path_.clear(); }

 private:
  std::string path_;  // empty: nothing to remove
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace gyre
