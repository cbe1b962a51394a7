// UnixPath: the file of a unix listener, removed when the listener ends.
//
// Thread  One at a time.
// Owns    The file from take() on, unless keep() was called or another listener has taken its place
//         meanwhile. Until the old process of a hot restart gives way, the file is that one's.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "gyre/base/InetAddress.h"

namespace gyre {

class UnixPath {
 public:
  // Of a listener that is to be bound there. Nothing for an abstract or unnamed address, or another
  // family. A relative path is one of the working directory at this moment.
  explicit UnixPath(const InetAddress& address);
  // As path() of another one was.
  explicit UnixPath(std::string absolute) noexcept : path_(std::move(absolute)) {}
  UnixPath(const UnixPath&) = delete;
  UnixPath& operator=(const UnixPath&) = delete;
  ~UnixPath();

  // Absolute; empty when there is nothing to remove.
  const std::string& path() const noexcept { return path_; }
  // The listener was bound: from now on the file is owned.
  void take() noexcept;
  // Another process goes on listening there.
  void keep() noexcept { path_.clear(); }

 private:
  std::string path_;  // empty: nothing to remove
  bool isTaken_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace gyre
