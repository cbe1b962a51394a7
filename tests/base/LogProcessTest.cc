// LogProcessTest: logging and the life of the process: environment, start, stderr, fork, exit.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <semaphore>
#include <string>
#include <string_view>

#include "gyre/base/Log.h"
#include "gyre/base/UniqueFd.h"

namespace gyre {
namespace {

// Each body runs in a fresh process, in which nothing has been logged yet.
class LogProcessDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

const testing::ExitedWithCode kSucceeds(0);

[[noreturn]] void exitWith(const char* problem) {
  std::fputs(problem, stderr);
  std::exit(*problem == '\0' ? 0 : 1);
}

int logThreads() {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    count += name == "gyre-log" ? 1 : 0;
  }
  return count;
}

struct EnvironmentCase {
  const char* value;
  LogLevel level;
};

TEST_F(LogProcessDeathTest, Environment_setsTheFirstLevel) {
  const std::array<EnvironmentCase, 6> cases = {{{"trace", LogLevel::Trace},
                                                 {"debug", LogLevel::Debug},
                                                 {"info", LogLevel::Info},
                                                 {"warn", LogLevel::Warn},
                                                 {"error", LogLevel::Error},
                                                 {"off", LogLevel::Off}}};
  for (const auto& [value, level] : cases) {
    ::setenv("GYRE_LOG", value, 1);
    EXPECT_EXIT(exitWith(logLevel() == level ? "" : "another level"), kSucceeds, "") << value;
  }
  ::unsetenv("GYRE_LOG");
  EXPECT_EXIT(exitWith(logLevel() == LogLevel::Info ? "" : "not info"), kSucceeds, "");
}

TEST_F(LogProcessDeathTest, Environment_thatIsNoLevel_isInfoAndIsSaidWithTheFirstMessage) {
  for (const auto* value : {"loud", "", "INFO", "infox"}) {
    ::setenv("GYRE_LOG", value, 1);
    const auto body = [] {
      log(LogLevel::Info, "hello");
      exitWith(logLevel() == LogLevel::Info ? "" : "not info");
    };
    const std::string complaint = "GYRE_LOG=" + std::string(value) + " is not a level";
    EXPECT_EXIT(body(), kSucceeds, complaint + "[^\n]*\n[^\n]*hello");
  }
  ::unsetenv("GYRE_LOG");
}

TEST_F(LogProcessDeathTest, Thread_startsWithTheFirstMessageAndNotBefore) {
  const auto body = [] {
    setLogLevel(LogLevel::Warn);
    setLogSink([](LogLevel, std::string_view) {});
    log(LogLevel::Info, "below the level");
    log(LogLevel::Off, "no message");
    flushLog();
    if (logThreads() != 0) exitWith("started too early");
    log(LogLevel::Warn, "first");
    log(LogLevel::Warn, "second");
    flushLog();
    exitWith(logThreads() == 1 ? "" : "not one thread");
  };
  EXPECT_EXIT(body(), kSucceeds, "");
}

// The mask of the calling thread must be what it was, too.
TEST_F(LogProcessDeathTest, Thread_takesNoSignalsOfTheProgram) {
  const auto body = [] {
    sigset_t before;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    std::uint64_t blocked = 0;
    setLogSink([&blocked](LogLevel, std::string_view) {
      std::ifstream status("/proc/thread-self/status");
      for (std::string word; status >> word;) {
        if (word == "SigBlk:") status >> std::hex >> blocked;
      }
    });
    log(LogLevel::Info, "look");
    flushLog();
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1}) {
      if ((blocked >> (signal - 1) & 1) == 0) exitWith("takes a signal");
      if (::sigismember(&before, signal) != ::sigismember(&after, signal)) exitWith("mask changed");
    }
    exitWith((blocked >> (SIGSEGV - 1) & 1) == 0 ? "" : "hides a crash");
  };
  EXPECT_EXIT(body(), kSucceeds, "");
}

TEST_F(LogProcessDeathTest, Stderr_getsOneLineEach_evenWhenExitFollowsAtOnce) {
  const auto body = [] {
    for (int i = 0; i < 1000; ++i) log(LogLevel::Info, "filler");
    log(LogLevel::Warn, "the last words");
    std::exit(0);
  };
  EXPECT_EXIT(body(), kSucceeds,
              "filler\n[0-9]{4}-[0-9-]+ [0-9:.]+ gyre warning \\[[0-9]+\\] the last words\n$");
}

TEST_F(LogProcessDeathTest, Stderr_closed_isSurvived) {
  const auto body = [] {
    ::close(STDERR_FILENO);
    for (int i = 0; i < 100; ++i) log(LogLevel::Error, "to nobody");
    flushLog();
    std::_Exit(0);
  };
  EXPECT_EXIT(body(), kSucceeds, "");
}

TEST_F(LogProcessDeathTest, Stderr_pipeWithoutReader_isSurvived) {
  const auto body = [] {
    std::array<int, 2> ends;
    if (::pipe(ends.data()) != 0) exitWith("pipe");
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::signal(SIGPIPE, SIG_DFL);
    for (int i = 0; i < 100; ++i) log(LogLevel::Error, "to nobody");
    flushLog();
    std::_Exit(0);
  };
  EXPECT_EXIT(body(), kSucceeds, "");
}

// Nobody reads the pipe: a caller or an exit that waited for it would hang.
TEST_F(LogProcessDeathTest, Stderr_fullPipe_holdsUpNeitherCallerNorExit) {
  const auto body = [] {
    std::array<int, 2> ends;
    if (::pipe(ends.data()) != 0) exitWith("pipe");
    ::dup2(ends[1], STDERR_FILENO);
    const std::string line(1000, 'x');
    for (int i = 0; i < 10'000; ++i) log(LogLevel::Error, line);
    std::exit(0);
  };
  EXPECT_EXIT(body(), kSucceeds, "");
}

TEST_F(LogProcessDeathTest, Stderr_nonBlockingPipe_losesNothing) {
  const auto body = [] {
    std::array<int, 2> ends;
    if (::pipe2(ends.data(), O_NONBLOCK) != 0) exitWith("pipe");
    ::fcntl(ends[1], F_SETPIPE_SZ, 4096);  // four lines fit
    const UniqueFd real(::dup(STDERR_FILENO));
    ::dup2(ends[1], STDERR_FILENO);
    const std::string line(1000, 'x');
    for (int i = 0; i < 500; ++i) log(LogLevel::Error, line);
    std::size_t received = 0;
    std::array<char, 4096> chunk;
    while (received < 500 * line.size()) {
      pollfd readable = {ends[0], POLLIN, 0};
      ::poll(&readable, 1, -1);
      const ssize_t n = ::read(ends[0], chunk.data(), chunk.size());
      for (ssize_t i = 0; i < n; ++i) received += chunk[static_cast<std::size_t>(i)] == 'x' ? 1 : 0;
    }
    ::dup2(real.get(), STDERR_FILENO);
    exitWith("");
  };
  EXPECT_EXIT(body(), kSucceeds, "");
}

TEST_F(LogProcessDeathTest, Exit_sinkBlockedForEver_isNotHeldUp) {
  const auto body = [] {
    static std::binary_semaphore never(0);
    setLogSink([](LogLevel, std::string_view) { never.acquire(); });
    log(LogLevel::Info, "stuck");
    std::exit(0);
  };
  EXPECT_EXIT(body(), kSucceeds, "");
}

TEST_F(LogProcessDeathTest, Exit_lateMessages_goToStderrAndNotToASinkThatMayBeGone) {
  const auto logLate = [] {
    log(LogLevel::Info, "from a late handler");
    flushLog();
  };
  const auto body = [&logLate] {
    std::atexit(logLate);  // registered first, so it runs after logging's own
    setLogSink([](LogLevel, std::string_view) { std::_Exit(1); });
    std::exit(0);
  };
  EXPECT_EXIT(body(), kSucceeds, "from a late handler\n");
}

TEST_F(LogProcessDeathTest, Exit_calledByTheSink_ends) {
  const auto body = [] {
    setLogSink([](LogLevel, std::string_view) { std::exit(0); });
    log(LogLevel::Info, "exit now");
    for (;;) ::pause();
  };
  EXPECT_EXIT(body(), kSucceeds, "");
}

TEST_F(LogProcessDeathTest, SetLogSink_insideASink_aborts) {
  const auto body = [] {
    setLogSink([](LogLevel, std::string_view) { setLogSink(nullptr); });
    log(LogLevel::Info, "call it");
    flushLog();
  };
  EXPECT_DEATH(body(), "setLogSink inside a sink");
}

#if defined(__SANITIZE_THREAD__)
#define GYRE_TEST_NO_FORK
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GYRE_TEST_NO_FORK
#endif
#endif

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define GYRE_TEST_NO_MEMORY_LIMIT
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define GYRE_TEST_NO_MEMORY_LIMIT
#endif
#endif

#ifndef GYRE_TEST_NO_MEMORY_LIMIT  // a sanitizer's own memory would hit it
TEST_F(LogProcessDeathTest, Thread_cannotStart_saysSoOnceAndWorksOnceItCan) {
  const auto body = [] {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit;
    ::getrlimit(RLIMIT_AS, &limit);
    const rlimit tight = {pages * 4096 + (4 << 20), limit.rlim_max};  // a stack needs 8 MiB
    ::setrlimit(RLIMIT_AS, &tight);
    for (int i = 0; i < 3; ++i) log(LogLevel::Info, "lost");
    flushLog();
    ::setrlimit(RLIMIT_AS, &limit);
    log(LogLevel::Info, "logged");
    std::exit(0);
  };
  EXPECT_EXIT(body(), kSucceeds,
              "^gyre: log messages are lost: [^\n]+\n[0-9][^\n]* gyre info [^\n]*logged\n$");
}
#endif

#ifndef GYRE_TEST_NO_FORK  // the thread sanitizer refuses threads in a forked child
TEST(LogProcessTest, Fork_childHasALogThreadOfItsOwn_andTheSameSink) {
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd readEnd(ends[0]);
  UniqueFd writeEnd(ends[1]);
  std::binary_semaphore isHeldUp(0);
  std::binary_semaphore goOn(0);
  setLogSink([&](LogLevel, std::string_view text) {
    EXPECT_GT(::write(writeEnd.get(), text.data(), text.size()), 0);
    if (text != "parent;") return;
    isHeldUp.release();
    goOn.acquire();
  });
  log(LogLevel::Info, "parent;");
  isHeldUp.acquire();  // the log thread holds a lock while we fork

  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    log(LogLevel::Info, "child;");
    flushLog();
    ::_exit(0);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  goOn.release();
  log(LogLevel::Info, "parent again;");
  setLogSink(nullptr);
  writeEnd.reset();
  std::string received(1000, '\0');
  received.resize(static_cast<std::size_t>(::read(readEnd.get(), received.data(), 1000)));
  EXPECT_EQ(received, "parent;child;parent again;");
}
#endif

}  // namespace
}  // namespace gyre
