// EventLoopWaitTest: the loop while nothing happens, under a storm of signals, and stopped.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "gyre/loop/EventLoop.h"
#include "gyre/loop/EventLoopThread.h"
#include "loop/LoopRun.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

template <typename T>
T askLoop(EventLoop* loop, std::function<T()> question) {
  std::promise<T> answer;
  loop->runInLoop([&] { answer.set_value(question()); });
  return answer.get_future().get();
}

std::chrono::nanoseconds cpuTimeOf(pthread_t thread) {
  clockid_t clock{};
  timespec time{};
  if (::pthread_getcpuclockid(thread, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// Of a process or a thread.
char stateOf(pid_t process) {
  std::string stat;
  std::getline(std::ifstream("/proc/" + std::to_string(process) + "/stat"), stat);
  const std::size_t end = stat.rfind(')');
  return end == std::string::npos ? '?' : stat[end + 2];
}

TEST(EventLoopIdleTest, Idle_makesNoIterationsAndUsesNoCpu) {
  LoopThreadOptions options;
  options.proactor = defaultProactorOptions();
  EventLoopThread thread(options);
  EventLoop* loop = thread.startLoop();
  loop->runAfter(std::chrono::hours(1), [] {});
  const auto self = askLoop<pthread_t>(loop, [] { return ::pthread_self(); });
  const auto task = askLoop<pid_t>(loop, [] { return ::gettid(); });
  // Until it has gone to sleep after that.
  std::uint64_t iterations = 0;
  do {
    iterations = loop->counters().iterations.get();
    std::this_thread::sleep_for(milliseconds(20));
  } while (loop->counters().iterations.get() != iterations || stateOf(task) != 'S');

  const std::uint64_t enters = loop->counters().enters.get();
  const auto cpu = cpuTimeOf(self);
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(loop->counters().iterations.get(), iterations);
  EXPECT_EQ(loop->counters().enters.get(), enters);
  EXPECT_LT(cpuTimeOf(self) - cpu, milliseconds(1));
}

TEST(EventLoopIdleTest, Timers_areTheOnlyIterations) {
  EventLoop loop;
  runAvailable(loop);
  int runs = 0;
  const std::uint64_t before = loop.counters().iterations.get();
  const TimerId timer = loop.runEvery(milliseconds(2), [&runs] { ++runs; });
  EXPECT_TRUE(runUntil(loop, [&runs] { return runs == 50; }));
  // One that waits and one that runs it; a wait may end a moment early.
  EXPECT_LE(loop.counters().iterations.get() - before, 3U * 50);
  loop.cancel(timer);
}

class SignalStormTest : public testing::Test {
 protected:
  void SetUp() override {
    struct sigaction interrupt {};
    interrupt.sa_handler = [](int) { ++signals; };  // without SA_RESTART
    ::sigaction(SIGALRM, &interrupt, &before_);
    const itimerval everyMillisecond{{0, 1000}, {0, 1000}};
    ::setitimer(ITIMER_REAL, &everyMillisecond, nullptr);
  }
  void TearDown() override {
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &before_, nullptr);
  }

  inline static std::atomic<int> signals{0};

 private:
  struct sigaction before_ {};
};

TEST_F(SignalStormTest, Interrupted_functorsAndTimersAreAllRunOnce) {
  constexpr int kPosts = 2000;
  EventLoop loop;
  int functors = 0;
  int timers = 0;
  // The storm is to hit the loop: the process's other threads refuse it.
  sigset_t alarm;
  ::sigemptyset(&alarm);
  ::sigaddset(&alarm, SIGALRM);
  std::thread poster([&] {
    ::pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
    for (int i = 0; i < kPosts; ++i) {
      loop.queueInLoop([&functors] { ++functors; });
      loop.runAfter(milliseconds(i % 50), [&timers] { ++timers; });
      if (i % 20 == 0) std::this_thread::sleep_for(milliseconds(1));
    }
  });
  EXPECT_TRUE(runUntil(loop, [&] { return functors == kPosts && timers == kPosts; }));
  poster.join();
  // Those that come while others have the CPU are one.
  EXPECT_TRUE(runUntil(loop, [] { return signals > 20; }));
  EXPECT_EQ(loop.counters().timers.get(), static_cast<std::uint64_t>(kPosts));
}

TEST_F(SignalStormTest, Interrupted_noTimerIsEarly) {
  EventLoop loop;
  int ran = 0;
  int early = 0;
  for (int i = 0; i < 20; ++i) {
    const TimePoint due = loop.now() + milliseconds(5 * i);
    loop.runAt(due, [&, due] {
      ++ran;
      early += loop.now() < due ? 1 : 0;
    });
  }
  EXPECT_TRUE(runUntil(loop, [&ran] { return ran == 20; }));
  EXPECT_EQ(early, 0);
}

// --- Stopped and continued

// Stops its parent for a while, from a process of its own.
pid_t stopParentFor(milliseconds time) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::kill(parent, SIGSTOP);
  while (stateOf(parent) != 'T') ::usleep(1000);
  ::usleep(static_cast<useconds_t>(std::chrono::microseconds(time).count()));
  ::kill(parent, SIGCONT);
  ::_exit(0);
}

TEST(StoppedProcessDeathTest, StoppedAndContinued_timersFireOnceAndDoNotPileUp) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto body = [] {
    constexpr milliseconds kStop{400};
    EventLoop loop;
    std::vector<int> oneShots(100);
    for (int i = 0; i < 100; ++i) {
      loop.runAfter(milliseconds(2 * i),
                    [&oneShots, i] { ++oneShots[static_cast<std::size_t>(i)]; });
    }
    int repeats = 0;
    int functors = 0;
    const TimePoint start = loop.now();
    loop.runEvery(milliseconds(10), [&repeats] { ++repeats; });
    const pid_t stopper = stopParentFor(kStop);
    for (int i = 0; i < 10; ++i) loop.queueInLoop([&functors] { ++functors; });
    while (loop.now() - start < kStop + milliseconds(200)) {
      loop.runOnce(loop.now() + milliseconds(50));
    }
    const auto ran = loop.now() - start - kStop;
    ::waitpid(stopper, nullptr, 0);
    bool isOnceEach = true;
    for (const int count : oneShots) isOnceEach = isOnceEach && count == 1;
    std::fprintf(stderr, "%d repeats, %d functors\n", repeats, functors);
    std::exit(isOnceEach && functors == 10 && repeats > 0 && repeats <= ran / milliseconds(10) + 2
                  ? 0
                  : 1);
  };
  EXPECT_EXIT(body(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace gyre
