// EventLoopQuitTest: how loop() and runOnce() end.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "gyre/loop/EventLoop.h"
#include "loop/LoopRun.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

class EventLoopQuitTest : public testing::Test {
 protected:
  EventLoop loop_{};
};

TEST_F(EventLoopQuitTest, Quit_beforeLoop_returnsAtOnceAndRunsWhatWasPosted) {
  int ran = 0;
  loop_.queueInLoop([&ran] { ++ran; });
  loop_.quit();
  loop_.loop();
  EXPECT_EQ(ran, 1);
}

TEST_F(EventLoopQuitTest, Quit_inAFunctor_returnsAfterAllThatWasPostedBefore) {
  int ran = 0;
  for (int i = 0; i < 10; ++i) loop_.queueInLoop([&ran] { ++ran; });
  loop_.queueInLoop([this] { loop_.quit(); });
  for (int i = 0; i < 5000; ++i) loop_.queueInLoop([&ran] { ++ran; });
  loop_.loop();
  EXPECT_EQ(ran, 5010);
}

TEST_F(EventLoopQuitTest, Quit_fromAnotherThread_wakesTheLoopAndRunsWhatThatThreadPosted) {
  int ran = 0;
  std::thread other([&] {
    for (int i = 0; i < 3000; ++i) loop_.queueInLoop([&ran] { ++ran; });
    loop_.quit();
  });
  loop_.loop();
  other.join();
  EXPECT_EQ(ran, 3000);
}

TEST_F(EventLoopQuitTest, Quit_inATimer_returns) {
  loop_.runAfter(milliseconds(1), [this] { loop_.quit(); });
  loop_.loop();
  EXPECT_EQ(loop_.counters().timers.get(), 1U);
}

TEST_F(EventLoopQuitTest, Quit_twiceAndFromSeveralThreads_isOnce) {
  std::thread a([this] { loop_.quit(); });
  std::thread b([this] { loop_.quit(); });
  a.join();
  b.join();
  loop_.loop();
  // The next loop() knows nothing of it.
  bool ran = false;
  loop_.runAfter(milliseconds(1), [&] {
    ran = true;
    loop_.quit();
  });
  loop_.loop();
  EXPECT_TRUE(ran);
}

TEST_F(EventLoopQuitTest, Loop_again_goesOnWhereItStopped) {
  int ran = 0;
  const TimerId timer = loop_.runEvery(milliseconds(1), [&] {
    ++ran;
    loop_.quit();
  });
  for (int i = 1; i <= 3; ++i) {
    loop_.loop();
    EXPECT_EQ(ran, i);
  }
  loop_.cancel(timer);
}

TEST_F(EventLoopQuitTest, RunOnce_nothingHappens_returnsAtTheDeadlineAndNotBefore) {
  runAvailable(loop_);
  const TimePoint deadline = loop_.now() + milliseconds(20);
  loop_.runOnce(deadline);
  EXPECT_GE(loop_.now(), deadline);
}

TEST_F(EventLoopQuitTest, RunOnce_deadlineIsPast_doesNotWait) {
  runAvailable(loop_);
  const TimePoint start = loop_.now();
  for (int i = 0; i < 100; ++i) loop_.runOnce(start - std::chrono::hours(1));
  EXPECT_LT(loop_.now() - start, std::chrono::seconds(5));
}

TEST_F(EventLoopQuitTest, Wakeup_fromAnotherThread_endsOneWait) {
  runAvailable(loop_);
  std::thread other([this] { loop_.wakeup(); });
  const TimePoint start = loop_.now();
  loop_.runOnce(start + std::chrono::seconds(10));
  EXPECT_LT(loop_.now() - start, std::chrono::seconds(9));
  other.join();
}

TEST_F(EventLoopQuitTest, Wakeup_whileItRuns_theWaitOfThatIterationIsNone) {
  runAvailable(loop_);
  loop_.queueInLoop([this] { loop_.wakeup(); });
  const TimePoint start = loop_.now();
  loop_.runOnce(start + std::chrono::seconds(10));
  EXPECT_LT(loop_.now() - start, std::chrono::seconds(9));
}

// The wake-up of a post is spent by a wait that comes before the mailbox is looked at again.
TEST_F(EventLoopQuitTest, Wait_afterALongBatch_seesWhatWasPostedDuringIt) {
  runAvailable(loop_);
  for (int i = 0; i < 1500; ++i) loop_.queueInLoop([] {});
  loop_.runOnce(kNoWait);
  ASSERT_LT(loop_.counters().functors.get(), 1500U) << "the batch was not long enough";
  loop_.queueInLoop([this] { loop_.quit(); });
  EXPECT_TRUE(loopUntilQuit(loop_));
}

TEST_F(EventLoopQuitTest, Wait_afterANestedOne_seesWhatWasPostedDuringIt) {
  runAvailable(loop_);
  loop_.queueInLoop([this] {
    std::thread([this] { loop_.queueInLoop([this] { loop_.quit(); }); }).join();
    // The mailbox was emptied for this batch: the wake-up ends this wait.
    loop_.proactor().run(loop_.now() + kPatience);
  });
  EXPECT_TRUE(loopUntilQuit(loop_));
}

}  // namespace
}  // namespace gyre
