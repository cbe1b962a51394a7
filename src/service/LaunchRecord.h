// LaunchRecord: how this process was started, so that the program can be started once more.
//
// Written down before main, because a program may change its directory, and what ps shows of it.
//
// Thread  Any.
#pragma once

#include <string>
#include <vector>

namespace gyre {

struct LaunchRecord {
  // The path by which the program was started, made absolute. Symbolic links are not resolved: a
  // link that points to another version now, or a file that was replaced, is what is wanted. Empty
  // where /proc tells nothing.
  std::string program;
  std::string directory;  // the working directory then, as the shell named it; empty: unknown
  std::vector<std::string> arguments;
};

const LaunchRecord& launchRecord() noexcept;

}  // namespace gyre
