// Output: what was printed has arrived, or the program says why not.
#pragma once

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace gyre {

// Throws std::system_error when the standard output is closed or full.
inline void requirePrinted() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw std::system_error(errno, std::generic_category(),
                          "cannot write to the standard output (redirect it to where it can go)");
}

}  // namespace gyre
