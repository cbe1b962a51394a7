#include "gyre/base/Log.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/sink.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "gyre/base/Check.h"

namespace gyre {

constinit std::atomic<LogLevel> currentLogLevel = LogLevel::Info;

namespace {

constexpr std::size_t kQueuedMax = 2048;
constexpr std::chrono::seconds kFlushPatience(1);
constexpr const char* kPattern = "%Y-%m-%d %H:%M:%S.%e %n %l [%t] %v";
constexpr const char* kLoggerName = "gyre";
constexpr fmt::string_view kDropReport = "{} log messages were dropped: the sink is too slow";
constexpr fmt::string_view kEnvironmentReport =
    "GYRE_LOG={} is not a level; use trace, debug, info, warn, error or off";
constexpr fmt::string_view kLossReport = "gyre: log messages are lost: {}\n";

struct LevelName {
  LogLevel level;
  std::string_view name;
  spdlog::level::level_enum inSpdlog;
};
// In the order of LogLevel.
constexpr std::array<LevelName, 6> kLevels = {{{LogLevel::Trace, "trace", spdlog::level::trace},
                                               {LogLevel::Debug, "debug", spdlog::level::debug},
                                               {LogLevel::Info, "info", spdlog::level::info},
                                               {LogLevel::Warn, "warn", spdlog::level::warn},
                                               {LogLevel::Error, "error", spdlog::level::err},
                                               {LogLevel::Off, "off", spdlog::level::off}}};

spdlog::level::level_enum toSpdlog(LogLevel level) noexcept {
  return kLevels[static_cast<std::size_t>(level)].inSpdlog;
}

LogLevel fromSpdlog(spdlog::level::level_enum level) noexcept {
  const auto isLevel = [level](const LevelName& entry) { return entry.inSpdlog == level; };
  return std::find_if(kLevels.begin(), kLevels.end(), isLevel)->level;
}

// True exactly when setLogLevel was called: a static constructor may come before the environment.
constinit std::atomic<bool> isLevelChosen = false;
// What GYRE_LOG says, where that is no level; not yet complained about.
constinit std::atomic<const char*> badEnvironment = nullptr;

// Runs before main, once.
bool readEnvironment() noexcept {
  const char* value = std::getenv("GYRE_LOG");
  if (value == nullptr) return false;
  const auto isNamed = [value](const LevelName& entry) { return entry.name == value; };
  const auto* found = std::find_if(kLevels.begin(), kLevels.end(), isNamed);
  if (found == kLevels.end()) {
    badEnvironment = value;
  } else if (!isLevelChosen) {
    currentLogLevel.store(found->level, std::memory_order_relaxed);
  }
  return found != kLevels.end();
}
[[maybe_unused]] const bool isLevelFromEnvironment = readEnvironment();

// True exactly while this thread runs the user's sink.
constinit thread_local bool isInSink = false;

// Another process may have made stderr non-blocking; on this thread waiting is fine.
void writeToStderr(std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (written < 0 && errno == EAGAIN) {
      pollfd writable = {STDERR_FILENO, POLLOUT, 0};
      ::poll(&writable, 1, -1);
    } else if (written == 0 || errno != EINTR) {
      return;
    }
  }
}

// The far end of the queue: hands each message to the sink, on the log thread.
//
// Every message carries a ticket, given out before it is queued. When a message comes out, all that
// was queued before its ticket was given out has been delivered or dropped. So whoever waits for
// its own ticket is also freed by a later one, should its own be dropped.
class Delivery final : public spdlog::sinks::sink {
 public:
  ~Delivery() override { delete sink_.load(); }

  // Any thread
  std::uint64_t newTicket() noexcept { return ++lastTicket_; }
  void awaitTicket(std::uint64_t ticket);
  void replaceSink(std::unique_ptr<LogSink> replacement);
  void dropSinkUnlessBusy() noexcept;

  // Before start
  void countDropsOf(spdlog::details::thread_pool* queue) noexcept { queue_ = queue; }
  void inheritSink(const Delivery& other) noexcept { sink_ = other.sink_.load(); }

  // Log thread
  void log(const spdlog::details::log_msg& message) override;
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  void reportDrops();
  void deliver(const spdlog::details::log_msg& message) noexcept;

  std::atomic<std::uint64_t> lastTicket_ = 0;
  std::mutex ticketMutex_;
  std::condition_variable ticketPassed_;
  std::uint64_t passedTicket_ = 0;  // guarded by ticketMutex_

  // Replaced and called with callMutex_ held. A pointer, so that the child of a fork at any moment
  // finds the old one or the new one.
  std::mutex callMutex_;
  std::atomic<LogSink*> sink_ = nullptr;

  spdlog::details::thread_pool* queue_ = nullptr;
  std::size_t dropsReported_ = 0;
  spdlog::pattern_formatter formatter_{kPattern};
};

void Delivery::awaitTicket(std::uint64_t ticket) {
  std::unique_lock lock(ticketMutex_);
  ticketPassed_.wait_for(lock, kFlushPatience, [&] { return passedTicket_ >= ticket; });
}

void Delivery::replaceSink(std::unique_ptr<LogSink> replacement) {
  const std::lock_guard lock(callMutex_);
  replacement.reset(sink_.exchange(replacement.release()));
}

void Delivery::dropSinkUnlessBusy() noexcept {
  const std::unique_lock lock(callMutex_, std::try_to_lock);
  if (lock) delete sink_.exchange(nullptr);
}

void Delivery::log(const spdlog::details::log_msg& message) {
  const std::uint64_t ticket = message.color_range_start;
  reportDrops();
  if (message.level != spdlog::level::off) deliver(message);
  const std::lock_guard lock(ticketMutex_);
  passedTicket_ = std::max(passedTicket_, ticket);
  ticketPassed_.notify_all();
}

void Delivery::reportDrops() {
  const std::size_t drops = queue_->overrun_counter();
  if (drops == dropsReported_) return;
  std::array<char, 80> text;
  const auto written = fmt::format_to_n(text.data(), text.size(), kDropReport,
                                        drops - std::exchange(dropsReported_, drops));
  deliver(spdlog::details::log_msg(kLoggerName, spdlog::level::warn, {text.data(), written.size}));
}

void Delivery::deliver(const spdlog::details::log_msg& message) noexcept {
  const std::lock_guard lock(callMutex_);
  const LogSink* user = sink_.load();
  isInSink = true;
  try {
    if (user != nullptr) {
      (*user)(fromSpdlog(message.level), {message.payload.data(), message.payload.size()});
    } else {
      spdlog::memory_buf_t line;
      formatter_.format(message, line);
      writeToStderr({line.data(), line.size()});
    }
  } catch (...) {  // that message is lost
  }
  isInSink = false;
}

// One per process, never destroyed: the log thread and late messages may outlive every static.
class Logger {
 public:
  Delivery& delivery() noexcept { return delivery_; }
  const Delivery& delivery() const noexcept { return delivery_; }
  bool isStarted() const noexcept { return isStarted_.load(std::memory_order_acquire); }
  // Returns the ticket of the message. Throws when the log thread cannot be started.
  std::uint64_t post(spdlog::level::level_enum level, std::string_view text);
  void flush();
  // Starts the log thread, and complains of the environment.
  void start();

 private:
  Delivery delivery_;
  std::mutex startMutex_;
  std::atomic<bool> isStarted_ = false;
  std::shared_ptr<spdlog::details::thread_pool> queue_;
  std::shared_ptr<spdlog::async_logger> route_;
};

// Signals belong to the program's own threads. What a thread does to itself stays deliverable.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t blocked;
    ::sigfillset(&blocked);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::sigdelset(&blocked, own);
    ::pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

void Logger::start() {
  const std::lock_guard lock(startMutex_);
  if (isStarted()) return;
  const SignalsBlocked inNewThread;
  const auto nameThread = [] { ::pthread_setname_np(::pthread_self(), "gyre-log"); };
  auto queue = std::make_shared<spdlog::details::thread_pool>(kQueuedMax, 1, nameThread);
  const std::shared_ptr<Delivery> notOwned(std::shared_ptr<void>(), &delivery_);
  route_ = std::make_shared<spdlog::async_logger>(kLoggerName, notOwned, queue,
                                                  spdlog::async_overflow_policy::overrun_oldest);
  delivery_.countDropsOf(queue.get());
  queue_ = std::move(queue);
  isStarted_.store(true, std::memory_order_release);
  if (const char* value = badEnvironment.exchange(nullptr)) {
    post(spdlog::level::warn, fmt::format(kEnvironmentReport, value));
  }
}

std::uint64_t Logger::post(spdlog::level::level_enum level, std::string_view text) {
  if (!isStarted()) start();
  spdlog::details::log_msg message(kLoggerName, level, {text.data(), text.size()});
  const std::uint64_t ticket = delivery_.newTicket();
  // The field is free until the message is formatted; only colours use it.
  message.color_range_start = ticket;
  queue_->post_log(std::shared_ptr<spdlog::async_logger>(route_), message,
                   spdlog::async_overflow_policy::overrun_oldest);
  return ticket;
}

void Logger::flush() {
  if (isStarted()) delivery_.awaitTicket(post(spdlog::level::off, {}));
}

constinit std::atomic<Logger*> currentLogger = nullptr;

// The log thread was not cloned, and its locks may have been held: nobody will release them.
void startAnewInChild() noexcept {
  const Logger* old = currentLogger.exchange(nullptr);
  if (old == nullptr) return;
  try {
    auto fresh = std::make_unique<Logger>();
    fresh->delivery().inheritSink(old->delivery());
    currentLogger.store(fresh.release());
  } catch (...) {  // the first message makes one, for stderr
  }
}

void finishAtExit() noexcept {
  if (isInSink) return;  // a sink called exit
  flushLog();
  if (Logger* last = currentLogger.load()) last->delivery().dropSinkUnlessBusy();
}

Logger& logger() {
  if (Logger* existing = currentLogger.load(std::memory_order_acquire)) return *existing;
  auto fresh = std::make_unique<Logger>();
  Logger* first = nullptr;
  if (!currentLogger.compare_exchange_strong(first, fresh.get())) return *first;
  Logger& created = *fresh.release();
  [[maybe_unused]] static const int forkHandled =
      ::pthread_atfork(nullptr, nullptr, startAnewInChild);
  [[maybe_unused]] static const int exitHandled = std::atexit(finishAtExit);
  return created;
}

// Said once: without memory or threads every message would say it again.
void reportLoss(const char* cause) noexcept {
  static constinit std::atomic_flag isSaid;
  if (isSaid.test_and_set()) return;
  std::array<char, 256> text;
  const auto end = fmt::format_to_n(text.data(), text.size(), kLossReport, cause).out;
  pollfd writable = {STDERR_FILENO, POLLOUT, 0};
  if (::poll(&writable, 1, 0) == 0) return;  // any thread may be here, and none may wait
  writeToStderr({text.data(), static_cast<std::size_t>(end - text.data())});
}

}  // namespace

void setLogLevel(LogLevel level) noexcept {
  isLevelChosen = true;
  currentLogLevel.store(level, std::memory_order_relaxed);
}

void setLogSink(LogSink sink) {
  GYRE_CHECK(!isInSink, "setLogSink inside a sink would wait for itself");
  auto replacement = sink ? std::make_unique<LogSink>(std::move(sink)) : nullptr;
  flushLog();
  logger().delivery().replaceSink(std::move(replacement));
}

void log(LogLevel level, std::string_view text) noexcept {
  if (level < logLevel() || level == LogLevel::Off || isInSink) return;
  try {
    logger().post(toSpdlog(level), text);
  } catch (const std::exception& error) {
    reportLoss(error.what());
  }
}

void checkLogEnvironment() noexcept {
  if (badEnvironment.load() == nullptr) return;
  try {
    logger().start();
  } catch (const std::exception& error) {
    reportLoss(error.what());
  }
}

void flushLog() noexcept {
  if (isInSink) return;
  try {
    logger().flush();
  } catch (const std::exception& error) {
    reportLoss(error.what());
  }
}

}  // namespace gyre
