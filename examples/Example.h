// Example: what the examples share beside their subject: arguments, signals, complaints.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "gyre/gyre.h"

namespace example {

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The arguments in order. Those that were not given have defaults.
class Arguments {
 public:
  Arguments(int argc, char** argv) : next_(argv + 1), end_(argv + argc) {}

  std::string text(std::string_view fallback) {
    return std::string(next_ == end_ ? fallback : *next_++);
  }
  gyre::InetAddress address(std::string_view fallback) {
    const std::string given = text(fallback);
    std::string complaint;
    const auto address = gyre::InetAddress::parse(given, complaint);
    if (!address) throw UsageError(complaint);
    return *address;
  }
  // 1..most
  int number(int fallback, int most) {
    const std::string given = text(std::to_string(fallback));
    const char* end = given.data() + given.size();
    int value = 0;
    const auto [stop, error] = std::from_chars(given.data(), end, value);
    if (error == std::errc() && stop == end && value >= 1 && value <= most) return value;
    throw UsageError("'" + given + "' is no number from 1 to " + std::to_string(most));
  }

 private:
  char** next_;
  char** end_;
};

// Runs serve(arguments) and says what went wrong: status 1 when it threw, 2 when `usage`, such as
// "echo [HOST:PORT]", was not kept to.
template <typename Serve>
int run(int argc, char** argv, const char* usage, Serve serve) {
  const std::string_view words(usage);
  const auto most = std::count(words.begin(), words.end(), ' ');
  const auto least = most - std::count(words.begin(), words.end(), '[');
  try {
    if (argc - 1 < least) throw UsageError("an argument is missing");
    if (argc - 1 > most) throw UsageError("there are too many arguments");
    Arguments arguments(argc, argv);
    serve(arguments);
    return 0;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "%s; usage: %s\n", error.what(), usage);
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

// To be called before threads start, because they inherit which signals are blocked.
inline void quitOnSignal(gyre::EventLoop& loop) { gyre::SignalWatcher::quitOn(&loop); }

// Prints a line, or leaves it out when whoever reads the output does not keep up: a loop that waits
// for that would serve nobody, and look at no signal.
inline void say(std::string line) {
  line += '\n';
  pollfd output = {STDOUT_FILENO, POLLOUT, 0};  // then a pipe takes 4096 bytes
  if (::poll(&output, 1, 0) != 1) return;
  [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, line.data(), line.size());
}

inline void announce(const gyre::InetAddress& address) {
  say("listening on " + address.toString());
}
inline void announce(const gyre::TcpServer& server) { announce(server.listenAddress()); }

}  // namespace example
