// ProgressLine: one line on a terminal that is written over while a run lasts.
//
// Thread  One.
// Ends    clear() takes the line away.
#pragma once

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace gyre {

class ProgressLine {
 public:
  static constexpr std::chrono::seconds kInterval{1};

  bool isShown() const noexcept { return isTerminal_; }

  void show(std::uint64_t messages, std::size_t connections) {
    const std::string line = std::to_string(++ticks_) + " s  " +
                             std::to_string(messages - messagesBefore_) + " messages/s  " +
                             std::to_string(connections) + " connections";
    messagesBefore_ = messages;
    if (!isTaken()) return;  // somebody has stopped the terminal (Ctrl-S): the run goes on
    std::fprintf(stderr, "\r%.*s\033[K", columns() - 1, line.c_str());
    std::fflush(stderr);
  }

  void clear() {
    if (ticks_ == 0 || !isTaken()) return;
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  }

 private:
  static bool isTaken() noexcept {
    pollfd terminal = {STDERR_FILENO, POLLOUT, 0};
    return ::poll(&terminal, 1, 0) == 1;
  }
  // A line that wraps could not be written over.
  static int columns() noexcept {
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
  }

  const bool isTerminal_ = ::isatty(STDERR_FILENO) == 1;
  std::uint64_t ticks_ = 0;
  std::uint64_t messagesBefore_ = 0;
};

}  // namespace gyre
