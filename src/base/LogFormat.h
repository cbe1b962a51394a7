// LogFormat: formatted messages for the library's own sources.
//
// A message below the level costs one load: nothing is formatted. Never throws: a message that
// cannot be formatted is logged as its format string.
#pragma once

#include <fmt/format.h>

#include "gyre/base/Log.h"

namespace gyre {

// Formats, then logs. Exported for the library's other half, the simulated network.
GYRE_API void logFormatted(LogLevel level, fmt::string_view format, fmt::format_args args) noexcept;

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
