// BenchPlan: what a run of gyre bench was asked to do, and the bytes it sends.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "gyre/base/InetAddress.h"
#include "gyre/proactor/ProactorOptions.h"

namespace gyre {

enum class BenchMode : std::uint8_t {
  Closed,   // each connection keeps `depth` messages on their way
  Open,     // messages are due at a fixed rate, whatever the server does
  Connect,  // connect, one message, close
  Idle,     // connections are held
};

struct BenchPlan {
  BenchMode mode = BenchMode::Closed;
  InetAddress address;
  std::size_t connections = 50;
  std::size_t size = 64;       // of a request; 0: replies come unasked
  std::size_t replySize = 64;  // 0: none comes
  std::size_t depth = 1;
  std::size_t threads = 1;
  double seconds = 10;
  double warmup = 0.5;
  double rate = 0;  // messages per second; Open
  bool isChecked = false;
  bool halfCloses = false;   // at the end: FIN behind the last request, then all that is owed
  bool touchesIdle = false;  // Idle: one message each, then held
  bool printsJson = false;
  bool isHarnessed = false;  // tells a harness when the window opens and closes
  std::string countFile;     // where a harness reads how many messages there were so far
  std::optional<Engine> engine;
};

// An endless pseudo-random stream. Its period is a prime, so that no message size hides a shift.
class BenchPayload {
 public:
  static constexpr std::size_t kPeriod = 4093;
  static constexpr std::size_t kPieceBytes = 64 * 1024;  // stays in the cache

  BenchPayload() : bytes_(kPeriod + kPieceBytes) {
    std::uint32_t state = 1;
    for (std::size_t i = 0; i < kPeriod; ++i) {
      state = state * 1664525 + 1013904223;
      bytes_[i] = static_cast<char>(state >> 24);
    }
    for (std::size_t i = kPeriod; i < bytes_.size(); ++i) bytes_[i] = bytes_[i - kPeriod];
  }

  // At least kPieceBytes of the stream from there on.
  const char* at(std::uint64_t offset) const noexcept { return bytes_.data() + offset % kPeriod; }

  bool matches(std::uint64_t offset, const char* data, std::size_t size) const noexcept {
    while (size > 0) {
      const std::size_t piece = std::min(size, kPieceBytes);
      if (std::memcmp(data, at(offset), piece) != 0) return false;
      data += piece;
      offset += piece;
      size -= piece;
    }
    return true;
  }

 private:
  std::vector<char> bytes_;
};

}  // namespace gyre
