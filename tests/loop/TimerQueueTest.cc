// TimerQueueTest: timers as data, told the time by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "loop/TimerQueue.h"

namespace gyre {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr TimePoint at(int ms) { return TimePoint(milliseconds(ms)); }

class TimerQueueTest : public testing::Test {
 protected:
  TimerId add(TimePoint due, Functor callback, Duration interval = {}) {
    const TimerId id(++lastId_);
    queue_.add({id, due, interval, std::move(callback)});
    return id;
  }
  // A timer that writes its name down.
  TimerId addNamed(TimePoint due, char name, Duration interval = {}) {
    return add(
        due, [this, name] { ran_ += name; }, interval);
  }
  // What runs at `now`.
  std::string run(TimePoint now) {
    ran_.clear();
    queue_.runDue(now, [](Functor& callback) { callback(); });
    return ran_;
  }

  std::uint64_t lastId_ = 0;
  std::string ran_;
  TimerQueue queue_;
};

TEST_F(TimerQueueTest, NextDue_empty_isNever) {
  EXPECT_EQ(queue_.nextDue(), kForever);
  EXPECT_EQ(queue_.size(), 0U);
  EXPECT_EQ(run(kForever), "");
}

TEST_F(TimerQueueTest, RunDue_isInOrderOfTime_andNotBefore) {
  addNamed(at(30), 'c');
  addNamed(at(10), 'a');
  addNamed(at(20), 'b');
  addNamed(at(40), 'd');
  EXPECT_EQ(queue_.nextDue(), at(10));
  EXPECT_EQ(run(at(9)), "");
  EXPECT_EQ(run(at(10)), "a");
  EXPECT_EQ(run(at(30)), "bc");
  EXPECT_EQ(queue_.size(), 1U);
  EXPECT_EQ(run(hours(1) + at(0)), "d");
  EXPECT_EQ(queue_.nextDue(), kForever);
}

TEST_F(TimerQueueTest, RunDue_equalTimes_areInTheOrderOfAdding) {
  for (char name = 'a'; name <= 'z'; ++name) addNamed(at(5), name);
  EXPECT_EQ(run(at(5)), "abcdefghijklmnopqrstuvwxyz");
}

TEST_F(TimerQueueTest, RunDue_theEndsOfTime_doNotOverflow) {
  addNamed(TimePoint::min(), 'a');
  addNamed(TimePoint::max(), 'z');
  addNamed(at(0) + hours(24 * 365 * 100), 'c');
  EXPECT_EQ(queue_.nextDue(), TimePoint::min());
  EXPECT_EQ(run(at(1000)), "a");
  EXPECT_EQ(queue_.size(), 2U);
}

TEST_F(TimerQueueTest, RunDue_releasesWhatTheCallbackHeld) {
  auto token = std::make_shared<int>(1);
  add(at(1), [token] {});
  run(at(1));
  EXPECT_EQ(token.use_count(), 1);
}

// --- Cancelling

TEST_F(TimerQueueTest, Cancel_anyOfMany_theOthersRunInOrder) {
  for (int cancelled = 0; cancelled < 26; ++cancelled) {
    std::string expected;
    std::vector<TimerId> ids;
    for (char name = 'a'; name <= 'z'; ++name) {
      ids.push_back(addNamed(at((name * 7) % 26), name));
    }
    queue_.cancel(ids[static_cast<std::size_t>(cancelled)]);
    EXPECT_EQ(queue_.size(), 25U);
    for (int time = 0; time < 26; ++time) {
      const std::string ran = run(at(time));
      ASSERT_LE(ran.size(), 1U);
      if (ran.empty()) {
        EXPECT_EQ(('a' + cancelled) * 7 % 26, time);
      }
    }
    EXPECT_EQ(queue_.size(), 0U);
  }
}

TEST_F(TimerQueueTest, Cancel_ranAlreadyOrUnknown_isNothing) {
  const TimerId id = addNamed(at(1), 'a');
  run(at(1));
  queue_.cancel(id);
  queue_.cancel(TimerId());
  queue_.cancel(TimerId(12345));
  addNamed(at(2), 'b');
  EXPECT_EQ(run(at(2)), "b");
}

TEST_F(TimerQueueTest, Cancel_inAnEarlierCallbackOfTheSameRound_doesNotRun) {
  TimerId second;
  add(at(1), [&] {
    ran_ += 'a';
    queue_.cancel(second);
  });
  second = addNamed(at(1), 'b');
  addNamed(at(1), 'c');
  EXPECT_EQ(run(at(1)), "ac");
}

TEST_F(TimerQueueTest, Cancel_inItsOwnCallback_isTheLastTime) {
  TimerId id;
  int runs = 0;
  id = add(
      at(10),
      [&] {
        if (++runs == 3) queue_.cancel(id);
      },
      milliseconds(10));
  for (int time = 0; time <= 100; time += 10) run(at(time));
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(queue_.size(), 0U);
}

TEST_F(TimerQueueTest, Cancel_destroysTheCallbackAtOnce) {
  auto token = std::make_shared<int>(1);
  const TimerId id = add(at(1), [token] {});
  queue_.cancel(id);
  EXPECT_EQ(token.use_count(), 1);
}

// What a callback captured may use the queue while it dies.
TEST_F(TimerQueueTest, Cancel_theCaptureCancelsAndAddsOthers_isFine) {
  struct OnDeath {
    std::function<void()> action;
    ~OnDeath() { action(); }
  };
  const TimerId other = addNamed(at(2), 'b');
  auto onDeath = std::make_shared<OnDeath>();
  onDeath->action = [this, other] {
    queue_.cancel(other);
    addNamed(at(3), 'c');
  };
  const TimerId id = add(at(1), [onDeath] {});
  onDeath.reset();
  queue_.cancel(id);
  EXPECT_EQ(run(at(10)), "c");
}

// --- Adding from inside

TEST_F(TimerQueueTest, Add_inACallback_waitsForTheNextCall) {
  add(at(5), [this] {
    ran_ += 'a';
    addNamed(at(5), 'b');
  });
  EXPECT_EQ(run(at(5)), "a");
  EXPECT_EQ(run(at(5)), "b");
}

TEST_F(TimerQueueTest, Add_inACallbackForThePast_doesNotHoldUpTheOthers) {
  add(at(1), [this] {
    ran_ += 'a';
    addNamed(at(0), 'x');
  });
  addNamed(at(2), 'b');
  addNamed(at(3), 'c');
  EXPECT_EQ(run(at(5)), "abc");
  EXPECT_EQ(run(at(5)), "x");
}

TEST_F(TimerQueueTest, Add_oneThatAlwaysComesBackForThePast_starvesNobody) {
  std::function<void()> again = [&] {
    ran_ += 'x';
    add(at(0), again);
  };
  add(at(0), again);
  addNamed(at(2), 'b');
  EXPECT_EQ(run(at(5)), "xb");
  EXPECT_EQ(run(at(5)), "x");
}

// --- Repeating

TEST_F(TimerQueueTest, Repeating_staysOnItsGrid) {
  addNamed(at(10), 'r', milliseconds(10));
  EXPECT_EQ(run(at(13)), "r");
  EXPECT_EQ(queue_.nextDue(), at(20));
  EXPECT_EQ(run(at(20)), "r");
  EXPECT_EQ(queue_.nextDue(), at(30));
}

TEST_F(TimerQueueTest, Repeating_late_runsOnceAndSkipsWhatItMissed) {
  addNamed(at(10), 'r', milliseconds(10));
  EXPECT_EQ(run(at(1'000'003)), "r");
  EXPECT_EQ(queue_.nextDue(), at(1'000'010));
  EXPECT_EQ(run(at(1'000'009)), "");
  EXPECT_EQ(run(at(1'000'010)), "r");
}

TEST_F(TimerQueueTest, Repeating_withTheShortestInterval_runsOncePerCall) {
  addNamed(at(0), 'r', Duration(1));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(run(at(i)), "r");
}

TEST_F(TimerQueueTest, Repeating_callbackRunsTheQueueAgain_isNotLost) {
  // As a callback does that runs the loop: the destructor of a server.
  addNamed(at(10), 'i', milliseconds(10));
  TimerId outer;
  outer = add(
      at(9),
      [this] {
        ran_ += '(';
        queue_.runDue(at(10), [](Functor& callback) { callback(); });
        ran_ += ')';
      },
      milliseconds(10));
  EXPECT_EQ(run(at(10)), "(i)");
  EXPECT_EQ(queue_.size(), 2U) << "a repeating timer got lost";
  EXPECT_EQ(queue_.nextDue(), at(19));
  queue_.cancel(outer);
  EXPECT_EQ(queue_.size(), 1U);
}

TEST_F(TimerQueueTest, Repeating_cancelledWhileItsCallbackRunsTheQueueAgain_isTheLastTime) {
  TimerId outer;
  outer = add(
      at(1),
      [this] {
        ran_ += 'o';
        queue_.runDue(at(2), [](Functor& callback) { callback(); });
      },
      milliseconds(1));
  add(at(2), [&] {
    ran_ += 'c';
    queue_.cancel(outer);
  });
  EXPECT_EQ(run(at(2)), "oc");
  EXPECT_EQ(queue_.size(), 0U);
}

// --- Set again and again

class IdleTimerTest : public TimerQueueTest {
 protected:
  TimerId addIdle(Functor callback) {
    const TimerId id(++lastId_);
    queue_.addIdle(id, std::move(callback));
    return id;
  }
  TimerId addIdleNamed(char name) {
    return addIdle([this, name] { ran_ += name; });
  }
};

TEST_F(IdleTimerTest, RunsOncePerSet) {
  const TimerId id = addIdleNamed('i');
  EXPECT_EQ(queue_.nextDue(), kForever);
  EXPECT_EQ(run(at(100)), "");
  queue_.set(id, at(110));
  EXPECT_EQ(queue_.nextDue(), at(110));
  EXPECT_EQ(run(at(109)), "");
  EXPECT_EQ(run(at(200)), "i");
  EXPECT_EQ(run(at(300)), "");
  queue_.set(id, at(310));
  EXPECT_EQ(run(at(310)), "i");
}

TEST_F(IdleTimerTest, Set_again_movesIt_andUnsetTakesItBack) {
  const TimerId id = addIdleNamed('i');
  addNamed(at(20), 'o');
  queue_.set(id, at(10));
  queue_.set(id, at(30));
  EXPECT_EQ(run(at(20)), "o");
  queue_.unset(id);
  queue_.unset(id);
  EXPECT_EQ(run(at(40)), "");
  queue_.set(id, at(50));
  EXPECT_EQ(run(at(50)), "i");
}

TEST_F(IdleTimerTest, Set_inItsOwnCallback_waitsForTheNextRun) {
  TimerId id;
  id = addIdle([&] {
    ran_ += 'i';
    queue_.set(id, at(1));
  });
  queue_.set(id, at(1));
  EXPECT_EQ(run(at(5)), "i");
  EXPECT_EQ(run(at(6)), "i");
  queue_.cancel(id);
  EXPECT_EQ(run(at(7)), "");
  EXPECT_EQ(queue_.size(), 0U);
}

TEST_F(IdleTimerTest, Cancel_inItsOwnNestedRun_letsGoOnceBothHaveReturned) {
  auto token = std::make_shared<int>(0);
  TimerId id;
  id = addIdle([&, token] {
    if (++*token == 2) return queue_.cancel(id);
    queue_.set(id, at(1));
    queue_.runDue(at(2), [](Functor& callback) { callback(); });
    ran_ += std::to_string(*token);
  });
  queue_.set(id, at(1));
  EXPECT_EQ(run(at(1)), "2");
  EXPECT_EQ(queue_.size(), 0U);
  EXPECT_EQ(token.use_count(), 1);
}

// --- Many

TEST_F(TimerQueueTest, HundredThousand_inAnyOrder_runInOrderAndOnce) {
  constexpr int kTimers = 100'000;
  std::vector<int> times(kTimers);
  for (int i = 0; i < kTimers; ++i) times[static_cast<std::size_t>(i)] = i;
  std::shuffle(times.begin(), times.end(), std::mt19937(42));
  std::vector<int> ran;
  std::vector<TimerId> ids;
  for (const int time : times) {
    ids.push_back(add(at(time), [&ran, time] { ran.push_back(time); }));
  }
  for (int i = 0; i < kTimers; i += 2) queue_.cancel(ids[static_cast<std::size_t>(i)]);
  EXPECT_EQ(queue_.size(), kTimers / 2U);
  run(at(kTimers));
  EXPECT_EQ(ran.size(), kTimers / 2U);
  EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
}

class TimerQueueLongTest : public TimerQueueTest {};

TEST_F(TimerQueueLongTest, Million_atTheSameTime_runInOrderOfAdding) {
  constexpr int kTimers = 1'000'000;
  int next = 0;
  int disordered = 0;
  for (int i = 0; i < kTimers; ++i) {
    add(at(7), [&, i] { disordered += next++ == i ? 0 : 1; });
  }
  run(at(7));
  EXPECT_EQ(next, kTimers);
  EXPECT_EQ(disordered, 0);
  EXPECT_EQ(queue_.size(), 0U);
}

}  // namespace
}  // namespace gyre
