#include "base/LogFormat.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iterator>

#include "base/LogLimit.h"

namespace gyre {
namespace {

constinit LogLimit limit;
constinit std::atomic<LeftOutHook> leftOutHook = nullptr;

void write(LogLevel level, fmt::string_view format, fmt::format_args args, std::uint64_t leftOut) {
  fmt::memory_buffer text;
  fmt::vformat_to(std::back_inserter(text), format, args);
  if (leftOut != 0) {
    fmt::format_to(std::back_inserter(text), " ({} more like this were left out)", leftOut);
  }
  log(level, {text.data(), text.size()});
}

void writeReport(const LogLimit::Report& report) {
  const char* kind = report.kind;
  const std::uint64_t leftOut = report.leftOut;
  try {
    write(report.level, "left out: {} more like \"{}\"", fmt::make_format_args(leftOut, kind), 0);
  } catch (...) {  // the lines were counted; without memory nobody learns how many
  }
}

void noteLeftOut() noexcept {
  // Before the log is flushed at exit, because that was registered with the first message.
  [[maybe_unused]] static const int exitHandled =
      std::atexit([] { limit.reportAll(&writeReport); });
  if (const LeftOutHook hook = leftOutHook.load(std::memory_order_relaxed)) hook();
}

}  // namespace

void logFormatted(LogLevel level, fmt::string_view format, fmt::format_args args) noexcept {
  std::uint64_t leftOut = 0;
  if (level >= LogLevel::Info) {
    const auto answer = limit.ask(format.data(), level, std::chrono::steady_clock::now());
    if (!answer.isAdmitted) return noteLeftOut();
    leftOut = answer.leftOut;
  }
  try {
    write(level, format, args, leftOut);
  } catch (...) {
    log(level, {format.data(), format.size()});
  }
}

void setLeftOutHook(LeftOutHook hook) noexcept {
  leftOutHook.store(hook, std::memory_order_relaxed);
}

bool reportLeftOutLines() noexcept {
  return limit.reportDue(std::chrono::steady_clock::now(), &writeReport);
}

void forgetLeftOutLines() noexcept { limit.forget(); }

}  // namespace gyre
