// TimerQueueModelTest: random use of TimerQueue, compared step by step with a std::multimap.
//
// GYRE_SEED=n replays a run.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "loop/TimerQueue.h"

namespace gyre {
namespace {

// The plainest timer queue: what is due runs in order of time, then of ids; what is added meanwhile
// waits for the next call.
class TimerModel {
 public:
  void add(std::uint64_t id, TimePoint due, Duration interval) {
    entries_.insert({{due, id}, interval});
  }
  void cancel(std::uint64_t id) {
    cancelled_.insert(id);
    std::erase_if(entries_, [id](const auto& entry) { return entry.first.second == id; });
  }
  // `run(id)` may add and cancel.
  template <typename Run>
  void runDue(TimePoint now, Run run) {
    Entries due;
    while (!entries_.empty() && entries_.begin()->first.first <= now) {
      due.insert(entries_.extract(entries_.begin()));
    }
    for (const auto& [key, interval] : due) {
      const auto& [time, id] = key;
      if (!cancelled_.contains(id)) run(id);
      if (cancelled_.contains(id) || interval == Duration::zero()) continue;
      TimePoint next = time;
      while (next <= now) next += interval;
      add(id, next, interval);
    }
  }
  std::size_t size() const { return entries_.size(); }
  TimePoint nextDue() const { return entries_.empty() ? kForever : entries_.begin()->first.first; }

 private:
  using Entries = std::multimap<std::pair<TimePoint, std::uint64_t>, Duration>;

  Entries entries_;
  std::set<std::uint64_t> cancelled_;
};

// Decides what a callback does; the same for queue and model, because it depends on nothing else.
struct Script {
  std::uint64_t seed;

  struct Action {
    int kind;  // 0..3: nothing, cancel itself, cancel another, add one
    std::uint64_t number;
  };
  Action of(std::uint64_t id, std::uint64_t run) const {
    std::mt19937_64 random(seed ^ (id * 1000003) ^ (run * 7919));
    const int kind = static_cast<int>(random() % 8);
    return {kind < 4 ? kind : 0, random()};
  }
};

class TimerQueueModelTest : public testing::Test {
 protected:
  static constexpr int kSpread = 200;

  std::uint64_t seed() {
    const char* given = std::getenv("GYRE_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  }

  TimePoint soon(std::uint64_t number) const {
    return now_ + Duration(static_cast<std::int64_t>(number % kSpread) - kSpread / 4);
  }
  static Duration intervalOf(std::uint64_t number) {
    return Duration(number % 5 == 0 ? static_cast<std::int64_t>(number / 5 % 60 + 1) : 0);
  }

  void addToQueue(std::uint64_t id, TimePoint due, Duration interval) {
    queue_.add({TimerId(id), due, interval, [this, id] { runInQueue(id); }});
  }
  void runInQueue(std::uint64_t id) {
    queueRan_.push_back(id);
    const Script::Action action = script_.of(id, ++runs_[id]);
    if (action.kind == 1) queue_.cancel(TimerId(id));
    if (action.kind == 2) queue_.cancel(TimerId(action.number % lastId_ + 1));
    if (action.kind == 3) {
      addToQueue(++addedInside_, soon(action.number), intervalOf(action.number >> 20));
    }
  }
  void runInModel(std::uint64_t id) {
    modelRan_.push_back(id);
    const Script::Action action = script_.of(id, ++modelRuns_[id]);
    if (action.kind == 1) model_.cancel(id);
    if (action.kind == 2) model_.cancel(action.number % lastId_ + 1);
    if (action.kind == 3) {
      // Those for the past count as due now.
      const TimePoint due = std::max(now_, soon(action.number));
      model_.add(++modelAddedInside_, due, intervalOf(action.number >> 20));
    }
  }

  void addOrCancel(std::mt19937_64& random) {
    if (random() % 4 != 0) {
      const std::uint64_t id = ++lastId_;
      const TimePoint due = soon(random());
      const Duration interval = intervalOf(random());
      addToQueue(id, due, interval);
      model_.add(id, due, interval);
    } else if (lastId_ > 0) {
      const std::uint64_t id = random() % lastId_ + 1;
      queue_.cancel(TimerId(id));
      model_.cancel(id);
    }
  }
  void advance(Duration step) {
    now_ += step;
    queue_.runDue(now_, [](Functor& callback) { callback(); });
    model_.runDue(now_, [this](std::uint64_t id) { runInModel(id); });
  }

  Script script_{0};
  TimePoint now_{std::chrono::hours(1)};
  TimerQueue queue_;
  TimerModel model_;
  std::uint64_t lastId_ = 0;
  std::uint64_t addedInside_ = 1'000'000'000;  // far from the ids given outside
  std::uint64_t modelAddedInside_ = 1'000'000'000;
  std::map<std::uint64_t, std::uint64_t> runs_;
  std::map<std::uint64_t, std::uint64_t> modelRuns_;
  std::vector<std::uint64_t> queueRan_;
  std::vector<std::uint64_t> modelRan_;
};

TEST_F(TimerQueueModelTest, RandomUse_isWhatAMultimapDoes) {
  const std::uint64_t seedUsed = seed();
  SCOPED_TRACE("GYRE_SEED=" + std::to_string(seedUsed));
  std::printf("GYRE_SEED=%llu\n", static_cast<unsigned long long>(seedUsed));
  std::mt19937_64 random(seedUsed);
  script_.seed = random();
  for (int step = 0; step < 3000; ++step) {
    for (std::uint64_t i = random() % 6; i > 0; --i) addOrCancel(random);
    advance(Duration(static_cast<std::int64_t>(random() % 40)));
    ASSERT_EQ(queueRan_, modelRan_) << "at step " << step;
    ASSERT_EQ(queue_.size(), model_.size()) << "at step " << step;
    ASSERT_EQ(queue_.nextDue(), model_.nextDue()) << "at step " << step;
    queueRan_.clear();
    modelRan_.clear();
  }
  EXPECT_GT(lastId_, 1000U);
}

}  // namespace
}  // namespace gyre
