// LogFormat: formatted messages for the library's own sources.
//
// A message below the level costs one load: nothing is formatted. Never throws: a message that
// cannot be formatted is logged as its format string.
//
// Of each kind of message, which is its format string, at most one per second is logged, and the
// next one says how many were left out (LogLimit.h): whatever causes a line, and be it a peer,
// cannot flood the log. Only trace and debug messages are not counted.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <system_error>

#include "gyre/base/InetAddress.h"
#include "gyre/base/Log.h"

// Formatted where the line is written, and only then: making their text takes memory, and may fail.
template <>
struct fmt::formatter<gyre::InetAddress> : fmt::formatter<std::string_view> {
  auto format(const gyre::InetAddress& address, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(address.toString(), context);
  }
};
template <>
struct fmt::formatter<std::error_code> : fmt::formatter<std::string_view> {
  auto format(const std::error_code& error, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(error.message(), context);
  }
};

namespace gyre {

// Formats, then logs. Exported for the library's other half, the simulated network.
// REQUIRES: the format is a string literal.
GYRE_API void logFormatted(LogLevel level, fmt::string_view format, fmt::format_args args) noexcept;

// Runs on the thread whose line was left out. It sees to it that reportLeftOutLines() is called
// from time to time until that returns false: else only the next line of the kind would tell.
using LeftOutHook = void (*)();
void setLeftOutHook(LeftOutHook hook) noexcept;
// Logs how many lines were left out, of each kind of which none came for two seconds. False once
// there is nothing to say, now or later.
bool reportLeftOutLines() noexcept;
// For tests that look for a line which another test has caused a moment before.
void forgetLeftOutLines() noexcept;

template <class... A>
void logTrace(fmt::format_string<A...> format, A&&... args) noexcept {
  if (logLevel() <= LogLevel::Trace) {
    logFormatted(LogLevel::Trace, format, fmt::make_format_args(args...));
  }
}

template <class... A>
void logDebug(fmt::format_string<A...> format, A&&... args) noexcept {
  if (logLevel() <= LogLevel::Debug) {
    logFormatted(LogLevel::Debug, format, fmt::make_format_args(args...));
  }
}

template <class... A>
void logInfo(fmt::format_string<A...> format, A&&... args) noexcept {
  if (logLevel() <= LogLevel::Info) {
    logFormatted(LogLevel::Info, format, fmt::make_format_args(args...));
  }
}

template <class... A>
void logWarn(fmt::format_string<A...> format, A&&... args) noexcept {
  if (logLevel() <= LogLevel::Warn) {
    logFormatted(LogLevel::Warn, format, fmt::make_format_args(args...));
  }
}

template <class... A>
void logError(fmt::format_string<A...> format, A&&... args) noexcept {
  if (logLevel() <= LogLevel::Error) {
    logFormatted(LogLevel::Error, format, fmt::make_format_args(args...));
  }
}

}  // namespace gyre
