// What is blocked in child processes of a program that watches signals.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <fstream>
#include <string>

#include "gyre/loop/ChildSignals.h"
#include "gyre/loop/SignalWatcher.h"

namespace gyre {
namespace {

class ChildSignalsTest : public testing::Test {
 protected:
  void SetUp() override {
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before_);
    sigset_t own;
    ::sigemptyset(&own);
    ::sigaddset(&own, SIGWINCH);
    ::pthread_sigmask(SIG_SETMASK, &own, nullptr);
    SignalWatcher::watch(&loop_, {SIGTERM, SIGUSR2, SIGWINCH}, [](int) {});
  }
  void TearDown() override { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  // The line "SigBlk:" of its status, as a number.
  static std::uint64_t blockedIn(pid_t child) {
    std::ifstream status("/proc/" + std::to_string(child) + "/status");
    for (std::string word; status >> word;) {
      if (word == "SigBlk:" && status >> word) return std::stoull(word, nullptr, 16);
    }
    ADD_FAILURE() << "no SigBlk in the status of " << child;
    return 0;
  }
  static bool isIn(std::uint64_t mask, int number) { return (mask >> (number - 1) & 1) != 0; }

  // A signal ends the child unless it is blocked there.
  static void expectEndsBy(pid_t child, int number) {
    ::kill(child, number);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), number);
  }

  EventLoop loop_;

 private:
  sigset_t before_{};
};

// posix_spawn returns when the program has been executed.
TEST_F(ChildSignalsTest, Spawned_withTheMask_blocksNothingThatIsWatched) {
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  const sigset_t mask = childSignalMask();
  ::posix_spawnattr_setsigmask(&attributes, &mask);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::string program = "sleep";
  std::string seconds = "1000";
  char* arguments[] = {program.data(), seconds.data(), nullptr};
  pid_t child = 0;
  ASSERT_EQ(::posix_spawnp(&child, "sleep", nullptr, &attributes, arguments, environ), 0);
  ::posix_spawnattr_destroy(&attributes);
  const std::uint64_t blocked = blockedIn(child);
  EXPECT_FALSE(isIn(blocked, SIGTERM));
  EXPECT_FALSE(isIn(blocked, SIGUSR2));
  EXPECT_TRUE(isIn(blocked, SIGWINCH)) << "which was blocked before";
  expectEndsBy(child, isIn(blocked, SIGTERM) ? SIGKILL : SIGTERM);
}

TEST_F(ChildSignalsTest, Forked_afterTheRestore_blocksNothingThatIsWatched) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    restoreSignalsInChild();
    ::execlp("sleep", "sleep", "1000", nullptr);
    ::_exit(127);
  }
  expectEndsBy(child, SIGTERM);
}

}  // namespace
}  // namespace gyre
