// SignalWatcherTest: signals as callbacks of a loop.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "gyre/loop/SignalWatcher.h"
#include "loop/LoopRun.h"

namespace gyre {
namespace {

std::ptrdiff_t openDescriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return std::distance(begin(all), end(all));
}

class SignalWatcherTest : public testing::Test {
 protected:
  void SetUp() override {
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_);
    loop_.emplace();
  }
  void TearDown() override {
    loop_.reset();
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }

  std::shared_ptr<SignalWatcher> watch(std::initializer_list<int> signals) {
    return SignalWatcher::watch(&*loop_, signals, [this](int signal) { got_.push_back(signal); });
  }
  bool runUntilGot(std::size_t count) {
    return runUntil(*loop_, [this, count] { return got_.size() >= count; });
  }

  std::vector<int> got_;
  std::optional<EventLoop> loop_;

 private:
  sigset_t mask_{};
};

TEST_F(SignalWatcherTest, Signal_ofTheProcess_isACallbackOnTheLoop) {
  watch({SIGUSR1, SIGUSR2});
  ::kill(::getpid(), SIGUSR1);
  ASSERT_TRUE(runUntilGot(1));
  ::kill(::getpid(), SIGUSR2);
  ASSERT_TRUE(runUntilGot(2));
  EXPECT_EQ(got_, (std::vector<int>{SIGUSR1, SIGUSR2}));
}

TEST_F(SignalWatcherTest, Signal_wakesTheWaitingLoop) {
  SignalWatcher::watch(&*loop_, {SIGUSR1}, [this](int) { loop_->quit(); });
  std::thread sender([] { ::kill(::getpid(), SIGUSR1); });
  EXPECT_TRUE(loopUntilQuit(*loop_));
  sender.join();
}

TEST_F(SignalWatcherTest, QuitOn_eitherSignal_quitsTheLoop) {
  SignalWatcher::quitOn(&*loop_, {SIGUSR1, SIGUSR2});
  for (const int signal : {SIGUSR1, SIGUSR2}) {
    ::kill(::getpid(), signal);
    EXPECT_TRUE(loopUntilQuit(*loop_)) << signal;
  }
}

TEST_F(SignalWatcherTest, Signal_again_isToldAgain) {
  watch({SIGUSR1});
  for (std::size_t i = 1; i <= 20; ++i) {
    ::kill(::getpid(), SIGUSR1);
    ASSERT_TRUE(runUntilGot(i));
  }
}

TEST_F(SignalWatcherTest, Signals_queued_areToldOneByOne) {
  watch({SIGRTMIN});
  for (int i = 0; i < 50; ++i) ::sigqueue(::getpid(), SIGRTMIN, sigval{i});
  EXPECT_TRUE(runUntilGot(50));
}

TEST_F(SignalWatcherTest, Signal_cameBeforeTheLoopRan_isNotLost) {
  watch({SIGUSR1});
  ::kill(::getpid(), SIGUSR1);
  EXPECT_TRUE(runUntilGot(1));
}

TEST_F(SignalWatcherTest, Threads_startedAfterwards_doNotTakeThem) {
  watch({SIGUSR1});
  bool isBlocked = false;
  std::thread([&isBlocked] {
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    isBlocked = ::sigismember(&mask, SIGUSR1) == 1;
  }).join();
  EXPECT_TRUE(isBlocked);
}

TEST_F(SignalWatcherTest, Callback_throws_isCountedAndTheNextSignalIsTold) {
  int calls = 0;
  SignalWatcher::watch(&*loop_, {SIGUSR1}, [&calls](int) {
    ++calls;
    if (calls == 1) throw std::runtime_error("on purpose");
    if (calls == 2) throw 7;
  });
  for (int i = 1; i <= 3; ++i) {
    ::kill(::getpid(), SIGUSR1);
    ASSERT_TRUE(runUntil(*loop_, [&] { return calls == i; }));
  }
  EXPECT_EQ(loop_->counters().callbackFailures.get(), 2U);
}

TEST_F(SignalWatcherTest, BeginClose_leavesTheLoopAndClosesItsDescriptor) {
  runAvailable(*loop_);
  const auto before = openDescriptors();
  const std::shared_ptr<SignalWatcher> watcher = watch({SIGUSR1});
  EXPECT_EQ(openDescriptors(), before + 1);
  EXPECT_EQ(loop_->residentCount(), 1U);
  watcher->beginClose();
  watcher->beginClose();
  EXPECT_TRUE(runUntil(*loop_, [this] { return loop_->residentCount() == 0; }));
  watcher->beginClose();
  EXPECT_EQ(openDescriptors(), before);
  EXPECT_TRUE(got_.empty());
}

TEST_F(SignalWatcherTest, BeginClose_inTheCallback_isTheLastSignal) {
  std::shared_ptr<SignalWatcher> watcher;
  watcher = SignalWatcher::watch(&*loop_, {SIGUSR1}, [&](int signal) {
    got_.push_back(signal);
    watcher->beginClose();
  });
  ::kill(::getpid(), SIGUSR1);
  EXPECT_TRUE(runUntil(*loop_, [this] { return loop_->residentCount() == 0; }));
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(SignalWatcherTest, Loop_ends_takesItAlong) {
  loop_.reset();
  const auto before = openDescriptors();
  loop_.emplace();
  const std::weak_ptr<SignalWatcher> watcher = watch({SIGUSR1});
  EXPECT_FALSE(watcher.expired());
  loop_.reset();
  EXPECT_TRUE(watcher.expired());
  EXPECT_EQ(openDescriptors(), before);
}

TEST_F(SignalWatcherTest, Quit_inTheCallback_endsLoop) {
  SignalWatcher::watch(&*loop_, {SIGTERM}, [this](int) { loop_->quit(); });
  ::kill(::getpid(), SIGTERM);
  ::kill(::getpid(), SIGTERM);
  loop_->loop();
}

}  // namespace
}  // namespace gyre
