// EventLoopFunctorTest: runInLoop and queueInLoop, from the loop's thread and from others.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/LogFormat.h"
#include "gyre/base/Log.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/loop/EventLoopThread.h"
#include "loop/LoopRun.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kMillion = 100'000;
#else
constexpr int kMillion = 1'000'000;
#endif

class EventLoopFunctorTest : public testing::Test {
 protected:
  EventLoop loop_{};
};

TEST_F(EventLoopFunctorTest, RunInLoop_onItsThread_runsHereAndNow) {
  bool ran = false;
  EXPECT_TRUE(loop_.runInLoop([&ran] { ran = true; }));
  EXPECT_TRUE(ran);
}

TEST_F(EventLoopFunctorTest, QueueInLoop_onItsThread_runsLaterInOrder) {
  std::string ran;
  for (const char name : {'a', 'b', 'c'}) {
    EXPECT_TRUE(loop_.queueInLoop([&ran, name] { ran += name; }));
  }
  EXPECT_EQ(ran, "");
  loop_.runOnce(kNoWait);
  EXPECT_EQ(ran, "abc");
  EXPECT_EQ(loop_.counters().functors.get(), 3U);
}

TEST_F(EventLoopFunctorTest, RunInLoop_onAnotherThread_wakesTheWaitingLoop) {
  std::thread::id where;
  std::thread poster([&] {
    loop_.runInLoop([&] {
      where = std::this_thread::get_id();
      loop_.quit();
    });
  });
  EXPECT_TRUE(loopUntilQuit(loop_));
  poster.join();
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST_F(EventLoopFunctorTest, QueueInLoop_insideAFunctor_runsInALaterIteration) {
  std::vector<std::uint64_t> iterations;
  loop_.queueInLoop([&] {
    iterations.push_back(loop_.counters().iterations.get());
    loop_.queueInLoop([&] { iterations.push_back(loop_.counters().iterations.get()); });
    EXPECT_EQ(iterations.size(), 1U);
  });
  ASSERT_TRUE(runUntil(loop_, [&] { return iterations.size() == 2; }));
  EXPECT_GT(iterations[1], iterations[0]);
}

TEST_F(EventLoopFunctorTest, RunInLoop_insideAFunctor_runsInside) {
  std::string ran;
  loop_.queueInLoop([&] {
    ran += '(';
    loop_.runInLoop([&ran] { ran += 'x'; });
    ran += ')';
  });
  loop_.runOnce(kNoWait);
  EXPECT_EQ(ran, "(x)");
}

TEST_F(EventLoopFunctorTest, Current_isTheLoopInsideAndNoneOutside) {
  EXPECT_EQ(EventLoop::current(), nullptr);
  EventLoop* inFunctor = nullptr;
  EventLoop* inTimer = nullptr;
  loop_.queueInLoop([&] { inFunctor = EventLoop::current(); });
  loop_.runAfter(Duration::zero(), [&] { inTimer = EventLoop::current(); });
  loop_.runOnce(kNoWait);
  EXPECT_EQ(inFunctor, &loop_);
  EXPECT_EQ(inTimer, &loop_);
  EXPECT_EQ(EventLoop::current(), nullptr);
}

// A thread that steps several loops is in the one it steps: so a simulation can be one thread.
TEST_F(EventLoopFunctorTest, IsInLoopThread_severalLoopsOnOneThread_isTheOneThatRuns) {
  EventLoop other;
  EXPECT_TRUE(loop_.isInLoopThread());
  EXPECT_TRUE(other.isInLoopThread());
  bool inOther = true;
  bool ranAtOnce = true;
  loop_.queueInLoop([&] {
    inOther = other.isInLoopThread();
    other.runInLoop([&ranAtOnce] { ranAtOnce = true; });
    ranAtOnce = false;
  });
  loop_.runOnce(kNoWait);
  EXPECT_FALSE(inOther);
  EXPECT_FALSE(ranAtOnce);
  EXPECT_TRUE(runUntil(other, [&] { return ranAtOnce; }));
}

TEST_F(EventLoopFunctorTest, IsInLoopThread_elsewhere_isFalse) {
  EXPECT_FALSE(std::async(std::launch::async, [this] { return loop_.isInLoopThread(); }).get());
}

// --- Functors that throw

TEST_F(EventLoopFunctorTest, Functor_throws_isLoggedAndCountedAndTheLoopLives) {
  std::vector<std::string> logged;
  forgetLeftOutLines();
  setLogSink([&logged](LogLevel, std::string_view text) { logged.emplace_back(text); });
  std::string ran;
  loop_.queueInLoop([&ran] { ran += 'a'; });
  loop_.queueInLoop([] { throw std::runtime_error("on purpose"); });
  loop_.queueInLoop([] { throw 7; });
  loop_.queueInLoop([&ran] { ran += 'b'; });
  loop_.runOnce(kNoWait);
  loop_.runInLoop([] { throw std::runtime_error("at once"); });
  setLogSink({});
  EXPECT_EQ(ran, "ab");
  EXPECT_EQ(loop_.counters().callbackFailures.get(), 3U);
  ASSERT_EQ(logged.size(), 2U) << "the third is of the kind of the first";
  EXPECT_NE(logged[0].find("on purpose"), std::string::npos) << logged[0];
}

TEST_F(EventLoopFunctorTest, Functor_isDestroyedAfterItRan) {
  auto token = std::make_shared<int>(1);
  loop_.queueInLoop([token] {});
  loop_.runOnce(kNoWait);
  EXPECT_EQ(token.use_count(), 1);
}

// --- Floods

TEST_F(EventLoopFunctorTest, Flood_isSpreadOverIterationsSoThatTimersHaveTheirTurn) {
  int ran = 0;
  int ranBeforeTimer = -1;
  for (int i = 0; i < 10'000; ++i) loop_.queueInLoop([&ran] { ++ran; });
  loop_.runAfter(Duration::zero(), [&] { ranBeforeTimer = ran; });
  ASSERT_TRUE(runUntil(loop_, [&ran] { return ran == 10'000; }));
  EXPECT_GE(ranBeforeTimer, 0);
  EXPECT_LT(ranBeforeTimer, 5000);
}

TEST_F(EventLoopFunctorTest, Functor_thatAlwaysQueuesItself_starvesNoTimerAndHangsNoQuit) {
  bool timerRan = false;
  std::function<void()> again;
  EventLoop loop;  // its end runs what is queued, once more
  again = [&] { loop.queueInLoop(again); };
  again();
  loop.runAfter(milliseconds(5), [&] {
    timerRan = true;
    loop.quit();
  });
  loop.loop();
  EXPECT_TRUE(timerRan);
}

struct Producer {
  int last = -1;
  int count = 0;
  int disordered = 0;
};

TEST(EventLoopProducersTest, Million_fromFourThreads_eachOnceAndInOrderAndFewWakeUps) {
  constexpr int kThreads = 4;
  EventLoop loop;
  std::array<Producer, kThreads> producers;
  std::vector<std::thread> threads;
  int total = 0;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Producer& mine = producers[static_cast<std::size_t>(t)];
      for (int i = 0; i < kMillion / kThreads; ++i) {
        loop.queueInLoop([&mine, &total, &loop, i] {
          mine.disordered += mine.last + 1 == i ? 0 : 1;
          mine.last = i;
          ++mine.count;
          if (++total == kMillion) loop.quit();
        });
      }
    });
  }
  EXPECT_TRUE(loopUntilQuit(loop));
  for (std::thread& thread : threads) thread.join();
  for (const Producer& producer : producers) {
    EXPECT_EQ(producer.count, kMillion / kThreads);
    EXPECT_EQ(producer.disordered, 0);
  }
  EXPECT_EQ(loop.counters().functors.get(), static_cast<std::uint64_t>(kMillion));
  EXPECT_LT(loop.counters().wakeups.get(), static_cast<std::uint64_t>(kMillion) / 10);
}

// Until the thread sleeps in the kernel.
bool waitUntilAsleep(pid_t thread) {
  const auto limit = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < limit) {
    std::string stat;
    std::getline(std::ifstream("/proc/self/task/" + std::to_string(thread) + "/stat"), stat);
    if (stat.substr(stat.rfind(')') + 2, 1) == "S") return true;
    std::this_thread::yield();
  }
  return false;
}

TEST(EventLoopProducersTest, Wakeups_countHowOftenASleepingLoopWasWoken) {
  EventLoopThread thread(LoopThreadOptions{defaultProactorOptions()});
  EventLoop* loop = thread.startLoop();
  std::promise<pid_t> id;
  loop->queueInLoop([&id] { id.set_value(::gettid()); });
  const pid_t loopThread = id.get_future().get();
  ASSERT_TRUE(waitUntilAsleep(loopThread));
  const std::uint64_t before = loop->counters().wakeups.get();
  for (int i = 0; i < 10; ++i) {
    std::promise<void> ran;
    for (int j = 0; j < 5; ++j) loop->queueInLoop([] {});
    loop->queueInLoop([&ran] { ran.set_value(); });
    ran.get_future().wait();
    ASSERT_TRUE(waitUntilAsleep(loopThread));
  }
  const std::uint64_t wakeups = loop->counters().wakeups.get() - before;
  EXPECT_GE(wakeups, 10U);
  // Those that came while it was going to sleep again.
  EXPECT_LE(wakeups, 60U);
}

TEST(EventLoopProducersTest, Quit_whileOthersPost_whatWasAcceptedRuns) {
  std::atomic<int> accepted{0};
  std::atomic<int> ran{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  {
    EventLoopThread thread(LoopThreadOptions{defaultProactorOptions()});
    const RefPtr<Mailbox> mailbox = thread.startLoop()->mailbox();
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, mailbox] {
        while (!stop) accepted += mailbox->post([&ran] { ++ran; }) ? 1 : 0;
      });
    }
    while (accepted < 10'000) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ran, accepted);
}

}  // namespace
}  // namespace gyre
