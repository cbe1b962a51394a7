// Output: what was printed has arrived, or the program says why not; and counts in words.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <future>
#include <string>
#include <system_error>

namespace gyre {

// Throws std::system_error when the standard output is closed or full.
inline void requirePrinted() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw std::system_error(errno, std::generic_category(),
                          "cannot write to the standard output (redirect it to where it can go)");
}

// Prints for a server, which serves also while nobody reads its output: on a thread of its own.
//
// Ends    When all is written; at the latest a second after the destructor was called.
class PrintedBeside {
 public:
  explicit PrintedBeside(std::string text);
  PrintedBeside(const PrintedBeside&) = delete;
  PrintedBeside& operator=(const PrintedBeside&) = delete;
  ~PrintedBeside();

 private:
  std::future<void> written_;
};

// "1 loop", "2 loops".
inline std::string counted(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace gyre
