// EventLoopTimerTest: timers of a loop, set and cancelled on its thread and on others.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gyre/loop/EventLoop.h"
#include "loop/LoopRun.h"

namespace gyre {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class EventLoopTimerTest : public testing::Test {
 protected:
  EventLoop loop_{};
  std::string ran_;
};

TEST_F(EventLoopTimerTest, RunAfter_zeroOrNegative_isDueAtOnceAndNeverInsideTheCall) {
  loop_.runAfter(Duration::zero(), [this] { ran_ += 'a'; });
  loop_.runAfter(-hours(1), [this] { ran_ += 'b'; });
  loop_.runAfter(Duration::min(), [this] { ran_ += 'c'; });
  EXPECT_EQ(ran_, "");
  EXPECT_TRUE(runUntil(loop_, [this] { return ran_.size() == 3; }));
  EXPECT_EQ(loop_.counters().timers.get(), 3U);
}

TEST_F(EventLoopTimerTest, RunAt_thePast_isDueAtOnce) {
  loop_.runAt(loop_.now() - hours(1), [this] { ran_ += 'b'; });
  loop_.runAt(TimePoint::min(), [this] { ran_ += 'a'; });
  EXPECT_TRUE(runUntil(loop_, [this] { return ran_ == "ab"; }));
}

TEST_F(EventLoopTimerTest, RunAfter_aHundredYearsOrForEver_doesNotOverflow) {
  const auto never = [this] { ran_ += 'x'; };
  loop_.runAfter(hours(24 * 365 * 100), never);
  loop_.runAfter(Duration::max(), never);
  loop_.runAt(TimePoint::max(), never);
  loop_.runEvery(Duration::max(), never);
  loop_.runAfter(milliseconds(1), [this] { ran_ += 'a'; });
  EXPECT_TRUE(runUntil(loop_, [this] { return !ran_.empty(); }));
  runAvailable(loop_);
  EXPECT_EQ(ran_, "a");
}

TEST_F(EventLoopTimerTest, Timers_random_runInOrderAndNoneEarly) {
  std::mt19937 random(7);
  std::vector<TimePoint> ranFor;
  int early = 0;
  for (int i = 0; i < 200; ++i) {
    const TimePoint due = loop_.now() + std::chrono::microseconds(random() % 20'000);
    loop_.runAt(due, [&, due] {
      early += loop_.now() < due ? 1 : 0;
      ranFor.push_back(due);
    });
  }
  ASSERT_TRUE(runUntil(loop_, [&] { return ranFor.size() == 200; }));
  EXPECT_EQ(early, 0);
  EXPECT_TRUE(std::is_sorted(ranFor.begin(), ranFor.end()));
}

TEST_F(EventLoopTimerTest, Timer_throws_isCountedAndARepeatingOneGoesOn) {
  int runs = 0;
  const TimerId timer = loop_.runEvery(milliseconds(1), [&runs] {
    ++runs;
    throw std::runtime_error("on purpose");
  });
  loop_.runAfter(Duration::zero(), [] { throw 7; });
  EXPECT_TRUE(runUntil(loop_, [&runs] { return runs == 3; }));
  EXPECT_EQ(loop_.counters().callbackFailures.get(), 4U);
  loop_.cancel(timer);
}

TEST_F(EventLoopTimerTest, RunEvery_isOnItsGrid) {
  const TimePoint start = loop_.now();
  std::vector<TimePoint> times;
  const TimerId timer = loop_.runEvery(milliseconds(5), [&] { times.push_back(loop_.now()); });
  EXPECT_TRUE(runUntil(loop_, [&] { return times.size() == 10; }));
  loop_.cancel(timer);
  for (std::size_t i = 0; i < times.size(); ++i) {
    EXPECT_GE(times[i] - start, milliseconds(5) * static_cast<int>(i + 1)) << "too early";
  }
}

TEST_F(EventLoopTimerTest, RunEvery_theThreadWasBusy_runsOnceForWhatItMissed) {
  int runs = 0;
  const TimerId timer = loop_.runEvery(milliseconds(1), [&runs] { ++runs; });
  loop_.queueInLoop([] { std::this_thread::sleep_for(milliseconds(50)); });
  loop_.runOnce(kNoWait);
  EXPECT_EQ(runs, 1);
  loop_.cancel(timer);
}

TEST_F(EventLoopTimerTest, RunEvery_cancelledInItsOwnCallback_isTheLastTime) {
  int runs = 0;
  TimerId id;
  id = loop_.runEvery(milliseconds(1), [&] {
    if (++runs == 3) loop_.cancel(id);
  });
  bool isLater = false;
  ASSERT_TRUE(runUntil(loop_, [&runs] { return runs == 3; }));
  loop_.runAfter(milliseconds(10), [&isLater] { isLater = true; });
  ASSERT_TRUE(runUntil(loop_, [&isLater] { return isLater; }));
  EXPECT_EQ(runs, 3);
}

TEST_F(EventLoopTimerTest, Cancel_onTheLoopsThread_itCertainlyDoesNotRun) {
  const TimerId due = loop_.runAfter(Duration::zero(), [this] { ran_ += 'x'; });
  loop_.cancel(due);
  loop_.cancel(due);
  loop_.cancel(TimerId());
  runAvailable(loop_);
  EXPECT_EQ(ran_, "");
}

TEST_F(EventLoopTimerTest, Cancel_byAnEarlierTimerOfTheSameRound_itDoesNotRun) {
  const TimePoint due = loop_.now();
  TimerId second;
  loop_.runAt(due, [&] { loop_.cancel(second); });
  second = loop_.runAt(due, [this] { ran_ += 'x'; });
  runAvailable(loop_);
  EXPECT_EQ(ran_, "");
}

// Another thread has set it, and its way into the loop is longer than that of the cancel.
TEST_F(EventLoopTimerTest, Cancel_onTheLoopsThreadBeforeItArrived_itCertainlyDoesNotRun) {
  loop_.queueInLoop([this] {
    const TimerId id = std::async(std::launch::async, [this] {
                         return loop_.runAfter(Duration::zero(), [this] { ran_ += 'x'; });
                       }).get();
    loop_.cancel(id);
  });
  runAvailable(loop_);
  EXPECT_EQ(ran_, "");
  // Nothing of it is left behind: others that come from there run.
  std::async(std::launch::async, [this] {
    loop_.runAfter(Duration::zero(), [this] { ran_ += 'y'; });
  }).get();
  runAvailable(loop_);
  EXPECT_EQ(ran_, "y");
}

TEST_F(EventLoopTimerTest, RunAfter_fromAnotherThread_wakesTheLoopAndRunsOnItsThread) {
  std::thread::id where;
  std::thread other([&] {
    loop_.runAfter(milliseconds(1), [&] {
      where = std::this_thread::get_id();
      loop_.quit();
    });
  });
  EXPECT_TRUE(loopUntilQuit(loop_));
  other.join();
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST_F(EventLoopTimerTest, Cancel_fromAnotherThread_takesEffectInTheOrderOfItsCalls) {
  std::thread([this] {
    const TimerId id = loop_.runAfter(Duration::zero(), [this] { ran_ += 'x'; });
    loop_.runAfter(Duration::zero(), [this] { ran_ += 'y'; });
    loop_.cancel(id);
  }).join();
  runAvailable(loop_);
  EXPECT_EQ(ran_, "y");
}

TEST_F(EventLoopTimerTest, Timers_fromFourThreads_allRunOnce) {
  constexpr int kEach = 2000;
  std::vector<std::thread> threads;
  int runs = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        loop_.runAfter(std::chrono::microseconds(i % 5000), [&runs] { ++runs; });
        loop_.cancel(loop_.runAfter(hours(1), [] {}));
      }
    });
  }
  EXPECT_TRUE(runUntil(loop_, [&runs] { return runs == 4 * kEach; }));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(loop_.counters().timers.get(), 4U * kEach);
}

TEST_F(EventLoopTimerTest, Timer_thatSetsItselfForThePast_starvesNeitherTimersNorFunctors) {
  bool ranTimer = false;
  bool ranFunctor = false;
  std::function<void()> again;
  EventLoop loop;  // its end runs what is due
  const TimePoint past = loop.now() - hours(1);
  again = [&] { loop.runAt(past, again); };
  again();
  loop.runAfter(milliseconds(1), [&] {
    ranTimer = true;
    loop.queueInLoop([&ranFunctor] { ranFunctor = true; });
  });
  EXPECT_TRUE(runUntil(loop, [&] { return ranTimer && ranFunctor; }));
}

TEST_F(EventLoopTimerTest, Timer_thatRunsTheLoop_repeatsAfterwards) {
  int outer = 0;
  int inner = 0;
  EventLoop loop;  // its end runs what is due
  loop.runEvery(milliseconds(2), [&] {
    if (++outer > 1) return;
    const int before = inner;
    runUntil(loop, [&] { return inner > before; });
  });
  loop.runEvery(milliseconds(1), [&inner] { ++inner; });
  EXPECT_TRUE(runUntil(loop, [&outer] { return outer >= 3; }));
}

}  // namespace
}  // namespace gyre
