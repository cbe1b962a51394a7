// LogLimit: at most one line per second of each kind, and how many more there were.
//
// A peer can cause most lines of a server as often as it likes: a log that says each time would
// hide everything else, and fill the disk. The kind of a line is its format string.
//
// Thread  Thread-safe, without a lock: a line that is left out costs two atomic operations.
// Owns    A fixed table; no memory is needed. Kinds beyond its size share a place.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "gyre/base/Log.h"

namespace gyre {

class LogLimit {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Answer {
    bool isAdmitted;
    std::uint64_t leftOut;  // of an admitted line: those of its kind left out before it
  };
  struct Report {
    const char* kind;
    LogLevel level;
    std::uint64_t leftOut;
  };
  using Reporter = void (*)(const Report& report);

  static constexpr std::chrono::seconds kInterval{1};
  static constexpr std::size_t kKindsMax = 128;

  constexpr LogLimit() noexcept = default;

  // `kind` is a string literal: its address names the kind.
  Answer ask(const char* kind, LogLevel level, TimePoint now) noexcept;
  // Reports the kinds that left lines out and of which none was admitted for two intervals: no line
  // of theirs comes any more that would say so. A report counts as a line of its kind. False once
  // no kind has anything to report, now or later.
  bool reportDue(TimePoint now, Reporter report) noexcept;
  // Reports every kind that left lines out.
  void reportAll(Reporter report) noexcept;
  // For tests: as if no line had been asked for.
  void forget() noexcept;

 private:
  using Ticks = TimePoint::rep;
  static constexpr Ticks kLongAgo = TimePoint::min().time_since_epoch().count() / 2;

  struct Kind {
    std::atomic<const char*> text{nullptr};
    std::atomic<LogLevel> level{LogLevel::Info};
    std::atomic<Ticks> admittedAt{kLongAgo};
    std::atomic<std::uint64_t> leftOut{0};
  };

  Kind& find(const char* text) noexcept;

  std::array<Kind, kKindsMax> kinds_;
};

}  // namespace gyre
