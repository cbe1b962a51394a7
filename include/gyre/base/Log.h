// Log: where the library's messages go, and how many of them.
//
// Thread  Any thread may call everything here.
//         Every sink, the user's included, runs on one thread of its own, one message at a time
//         and in order, so that a slow or blocked sink never holds up a loop. That thread starts
//         with the first message. When the sink falls behind by 2048 messages the oldest are
//         dropped, and the next line says how many.
// Ends    Never: logging is safe until the process is gone. At exit what is queued is written
//         (flushLog) and a replaced sink is let go, so it must live as long as main's statics.
//         After fork the child starts a log thread of its own with its first message.
//
// Lines of the library at info and above are limited, because a peer can cause many of them: at
// most one per second of each kind, and the next one of the kind, or a line of its own after two
// seconds, says how many more there were.
//
// The environment variable GYRE_LOG=trace|debug|info|warn|error|off sets the first level; info
// when it is not set. Without a sink of the user messages go to stderr, one line each.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>

#include "gyre/base/Export.h"

namespace gyre {

enum class LogLevel { Trace, Debug, Info, Warn, Error, Off };

// The text is valid until the sink returns. A sink that throws loses that message, nothing else.
// What a sink itself logs is dropped.
using LogSink = std::function<void(LogLevel, std::string_view)>;

GYRE_API void setLogLevel(LogLevel level) noexcept;

// Messages below it are dropped. One relaxed load.
inline LogLevel logLevel() noexcept;

// Replaces the sink; an empty one restores stderr. What was logged before still goes to the old
// sink (as far as flushLog waits for it), which is not called any more once this returns: it
// waits for a call in progress.
// REQUIRES: not called from inside a sink.
GYRE_API void setLogSink(LogSink sink);

// Queues one message; never waits for the sink and never throws. LogLevel::Off is not a message.
GYRE_API void log(LogLevel level, std::string_view text) noexcept;

// Waits until what was logged before has reached the sink; one second at most, because a sink may
// be blocked. Returns at once inside a sink.
GYRE_API void flushLog() noexcept;

// Internal

// Complains of a GYRE_LOG that is no level, unless the first message has brought that with it.
GYRE_API void checkLogEnvironment() noexcept;
GYRE_API extern std::atomic<LogLevel> currentLogLevel;

inline LogLevel logLevel() noexcept { return currentLogLevel.load(std::memory_order_relaxed); }

}  // namespace gyre
