// PeerOptions: the command line and the first line of output that all peers share.
#pragma once

#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace peer {

// usage: PROGRAM PORT [echo|sink|source|broadcast]
enum class Mode : std::uint8_t {
  Echo,
  Sink,
  Source,
  Broadcast,  // what one connection says goes to all
};

struct Options {
  std::uint16_t port = 0;
  Mode mode = Mode::Echo;
};

// Bytes that one receive may take, and that a source sends at once.
inline constexpr std::size_t kBufferBytes = 256 * 1024;
// Unsent output at which a peer stops reading.
inline constexpr std::size_t kOutputMax = 256 * 1024;

// Signals end a peer at once, with status 0: no peer is timed while it ends.
inline Options parse(int argc, char** argv) {
  const std::string_view mode = argc == 3 ? argv[2] : "echo";
  const bool isKnown = mode == "echo" || mode == "sink" || mode == "source" || mode == "broadcast";
  if (argc < 2 || argc > 3 || !isKnown) {
    std::fprintf(stderr, "usage: %s PORT [echo|sink|source|broadcast]\n", argv[0]);
    std::exit(2);
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGTERM, [](int) { ::_exit(0); });
  std::signal(SIGINT, [](int) { ::_exit(0); });
  Options options;
  options.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  if (mode == "sink") options.mode = Mode::Sink;
  if (mode == "source") options.mode = Mode::Source;
  if (mode == "broadcast") options.mode = Mode::Broadcast;
  return options;
}

inline void announce(std::uint16_t port) {
  std::printf("listening on 127.0.0.1:%u\n", port);
  std::fflush(stdout);
}

[[noreturn]] inline void die(const char* what) {
  std::fprintf(stderr, "%s failed\n", what);
  std::exit(1);
}

}  // namespace peer
