// TimingWheelTest: timeouts as data, told the time by hand.
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <random>
#include <vector>

#include "loop/TimingWheel.h"

namespace gyre {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart = TimePoint(hours(1000));
constexpr milliseconds kTick{100};

// Asked once its time has come; answers what the test says, "not again" when it says nothing.
class Sleeper : public LoopResident {
 public:
  void beginClose() noexcept override {}
  TimePoint checkTimeouts(TimePoint now) noexcept override {
    asked.push_back(now);
    return answer ? answer(now) : kForever;
  }

  std::vector<TimePoint> asked;
  std::function<TimePoint(TimePoint)> answer;
};

class TimingWheelTest : public testing::Test {
 protected:
  // Advances tick by tick, as a loop does.
  void runUntil(TimePoint end) {
    for (; now_ <= end; now_ += kTick) wheel_.advance(now_);
  }
  TimingWheel::Entry add(Sleeper& sleeper, Duration after) {
    return wheel_.add(sleeper, now_ + after, now_);
  }

  TimePoint now_ = kStart;
  TimingWheel wheel_{kStart, kTick};
};

TEST_F(TimingWheelTest, Empty_isNeverDue) {
  EXPECT_EQ(wheel_.nextDue(), kForever);
  wheel_.advance(kStart + hours(1));
  EXPECT_EQ(wheel_.size(), 0U);
}

TEST_F(TimingWheelTest, Due_isNeverEarlyAndAtMostATickLate) {
  std::deque<Sleeper> sleepers(100);
  for (int i = 0; i < 100; ++i) add(sleepers[static_cast<std::size_t>(i)], milliseconds(37 * i));
  runUntil(kStart + seconds(10));
  for (int i = 0; i < 100; ++i) {
    const Sleeper& sleeper = sleepers[static_cast<std::size_t>(i)];
    ASSERT_EQ(sleeper.asked.size(), 1U) << i;
    EXPECT_GE(sleeper.asked[0], kStart + milliseconds(37 * i)) << i;
    EXPECT_LE(sleeper.asked[0], kStart + milliseconds(37 * i) + kTick) << i;
  }
}

TEST_F(TimingWheelTest, NextDue_isTheTickOfTheFirst) {
  Sleeper sleeper;
  add(sleeper, milliseconds(950));
  add(sleeper, milliseconds(250));
  EXPECT_EQ(wheel_.nextDue(), kStart + milliseconds(300));
  wheel_.advance(kStart + milliseconds(299));
  EXPECT_TRUE(sleeper.asked.empty());
  wheel_.advance(kStart + milliseconds(300));
  EXPECT_EQ(sleeper.asked.size(), 1U);
  EXPECT_EQ(wheel_.nextDue(), kStart + milliseconds(1000));
}

TEST_F(TimingWheelTest, WhoAnswersATime_isAskedAgainThen) {
  Sleeper sleeper;
  sleeper.answer = [&](TimePoint now) { return sleeper.asked.size() < 5 ? now + kTick : kForever; };
  add(sleeper, kTick);
  runUntil(kStart + seconds(2));
  EXPECT_EQ(sleeper.asked.size(), 5U);
  EXPECT_EQ(sleeper.asked.back(), kStart + 5 * kTick);
  EXPECT_EQ(wheel_.size(), 1U) << "it keeps its entry";
}

TEST_F(TimingWheelTest, WhoAnswersThePast_isAskedOncePerTick) {
  Sleeper sleeper;
  sleeper.answer = [](TimePoint) { return kStart; };
  add(sleeper, kTick);
  wheel_.advance(kStart + kTick);
  EXPECT_EQ(sleeper.asked.size(), 1U) << "not again in the same turn";
  EXPECT_EQ(wheel_.nextDue(), kStart + 2 * kTick);
}

TEST_F(TimingWheelTest, Removed_isNotAsked_andItsPlaceIsUsedAgain) {
  Sleeper first;
  Sleeper second;
  Sleeper third;
  const auto entry = add(first, kTick);
  add(second, kTick);
  wheel_.remove(entry);
  EXPECT_EQ(add(third, kTick), entry);
  runUntil(kStart + seconds(1));
  EXPECT_TRUE(first.asked.empty());
  EXPECT_EQ(second.asked.size(), 1U);
  EXPECT_EQ(third.asked.size(), 1U);
}

TEST_F(TimingWheelTest, Moved_isAskedAtItsNewTimeOnly) {
  Sleeper sleeper;
  const auto entry = add(sleeper, kTick);
  wheel_.move(entry, kStart + seconds(3));
  runUntil(kStart + seconds(2));
  EXPECT_TRUE(sleeper.asked.empty());
  wheel_.move(entry, kForever);
  runUntil(kStart + seconds(5));
  EXPECT_TRUE(sleeper.asked.empty());
  wheel_.move(entry, kStart);
  runUntil(kStart + seconds(6));
  EXPECT_EQ(sleeper.asked.size(), 1U) << "a time in the past is the next tick";
}

TEST_F(TimingWheelTest, Deadline_earlier_movesTheEntry_laterOnesAndNoneDoNot) {
  Sleeper sleeper;
  const auto entry = add(sleeper, seconds(5));
  EXPECT_EQ(wheel_.deadline(entry), kForever);
  wheel_.setDeadline(entry, kStart + seconds(20));
  EXPECT_EQ(wheel_.deadline(entry), kStart + seconds(20));
  EXPECT_EQ(wheel_.nextDue(), kStart + seconds(5));
  wheel_.setDeadline(entry, kStart + milliseconds(1950));
  EXPECT_EQ(wheel_.deadline(entry), kStart + seconds(2)) << "to the tick, and not before";
  EXPECT_LE(wheel_.nextDue(), kStart + seconds(2));
  wheel_.setDeadline(entry, kForever);
  EXPECT_EQ(wheel_.deadline(entry), kForever);
  runUntil(kStart + seconds(2));
  EXPECT_EQ(sleeper.asked, std::vector<TimePoint>{kStart + seconds(2)}) << "too early is no harm";
}

TEST_F(TimingWheelTest, Deadline_ofAnEntryThatIsNotDue_makesItDue) {
  Sleeper sleeper;
  const auto entry = add(sleeper, kTick);
  runUntil(kStart + kTick);
  ASSERT_EQ(wheel_.nextDue(), kForever);
  wheel_.setDeadline(entry, kStart + hours(1));
  sleeper.answer = [&](TimePoint) { return wheel_.deadline(entry); };
  runUntil(kStart + hours(1));
  EXPECT_EQ(sleeper.asked.back(), kStart + hours(1));
  EXPECT_LE(sleeper.asked.size(), 40U) << "once a turn";
}

TEST_F(TimingWheelTest, FurtherThanATurn_isAskedOncePerTurnAndNotMissed) {
  Sleeper sleeper;
  const TimePoint due = kStart + hours(1);
  sleeper.answer = [due](TimePoint now) { return now < due ? due : kForever; };
  add(sleeper, hours(1));
  runUntil(kStart + hours(2));
  EXPECT_EQ(sleeper.asked.back(), due);
  EXPECT_LE(sleeper.asked.size(), 37U);
}

TEST_F(TimingWheelTest, LongPause_asksEachOnce) {
  std::deque<Sleeper> sleepers(3000);
  for (int i = 0; i < 3000; ++i) add(sleepers[static_cast<std::size_t>(i)], milliseconds(20 * i));
  wheel_.advance(kStart + hours(5));
  for (const Sleeper& sleeper : sleepers) ASSERT_EQ(sleeper.asked.size(), 1U);
  EXPECT_EQ(wheel_.nextDue(), kForever);
}

TEST_F(TimingWheelTest, AfterALongIdleTime_aNewEntryIsExact) {
  Sleeper sleeper;
  now_ = kStart + hours(9);
  add(sleeper, milliseconds(150));
  EXPECT_EQ(wheel_.nextDue(), now_ + 2 * kTick);
}

TEST_F(TimingWheelTest, Random_addMoveRemove_equalsAModel) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  struct Place {
    TimingWheel::Entry entry = TimingWheel::kNoEntry;
    TimePoint due{};
  };
  std::deque<Sleeper> sleepers(200);
  std::vector<Place> places(200);
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t i = random() % 200;
    Place& place = places[i];
    const TimePoint due = now_ + milliseconds(random() % 90'000);
    if (place.entry == TimingWheel::kNoEntry) {
      place = {wheel_.add(sleepers[i], due, now_), due};
    } else if (random() % 4 == 0) {
      wheel_.remove(place.entry);
      place.entry = TimingWheel::kNoEntry;
    } else {
      wheel_.move(place.entry, due);
      place.due = due;
    }
    now_ += milliseconds(random() % 100);
    wheel_.advance(now_);
    for (std::size_t k = 0; k < 200; ++k) {
      if (sleepers[k].asked.empty()) {
        ASSERT_TRUE(places[k].entry == TimingWheel::kNoEntry || now_ < places[k].due + kTick);
        continue;
      }
      ASSERT_NE(places[k].entry, TimingWheel::kNoEntry);
      ASSERT_GE(now_, places[k].due);
      wheel_.remove(places[k].entry);
      places[k].entry = TimingWheel::kNoEntry;
      sleepers[k].asked.clear();
    }
  }
}

// The work per entry does not grow with their number: each is asked once per due time.
TEST_F(TimingWheelTest, AMillion_areAskedOnceEach) {
  constexpr std::size_t kCount = 1'000'000;
  std::size_t asked = 0;
  Sleeper sleeper;
  sleeper.answer = [&](TimePoint) {
    sleeper.asked.clear();
    ++asked;
    return kForever;
  };
  for (std::size_t i = 0; i < kCount; ++i) add(sleeper, milliseconds(i % 60'000));
  runUntil(kStart + seconds(61));
  EXPECT_EQ(asked, kCount);
}

}  // namespace
}  // namespace gyre
