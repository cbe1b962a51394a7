#include <chrono>
#include <stdexcept>
#include <vector>

#include "co/CoFixture.h"

namespace gyre::co {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class WhenTest : public CoFixture {};

Task<int> after(Duration delay, int value) {
  co_await sleep(delay);
  co_return value;
}

Task<> failAfter(Duration delay) {
  co_await sleep(delay);
  throw std::runtime_error("failed");
}

Task<> untilCancelled(int& cancelled) {
  try {
    co_await sleep(hours(1));
  } catch (const Cancelled&) {
    ++cancelled;
    throw;
  }
}

TEST_F(WhenTest, WhenAll_hasTheValuesOfAll) {
  const auto both = []() -> Task<int> {
    auto [one, two] = co_await whenAll(after(milliseconds(2), 1), after(milliseconds(1), 2));
    co_return one * 10 + two;
  };

  Result<int> result = run(both());

  ASSERT_TRUE(result) << errorOf(result);
  EXPECT_EQ(*result, 12);
}

TEST_F(WhenTest, WhenAll_ofTasksThatEndAtOnce_ends) {
  const auto both = []() -> Task<int> {
    const auto one = []() -> Task<int> { co_return 1; };
    auto [first, second] = co_await whenAll(one(), one());
    co_return first + second;
  };

  Result<int> result = run(both());

  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 2);
}

TEST_F(WhenTest, WhenAll_ofAVector_keepsTheOrder) {
  const auto all = []() -> Task<std::vector<int>> {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 5; ++i) tasks.push_back(after(milliseconds(5 - i), i));
    co_return co_await whenAll(std::move(tasks));
  };

  Result<std::vector<int>> result = run(all());

  ASSERT_TRUE(result);
  EXPECT_EQ(*result, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST_F(WhenTest, WhenAll_ofNone_endsAtOnce) {
  const auto none = []() -> Task<std::vector<int>> {
    co_return co_await whenAll(std::vector<Task<int>>());
  };

  Result<std::vector<int>> result = run(none());

  ASSERT_TRUE(result);
  EXPECT_TRUE(result->empty());
}

TEST_F(WhenTest, WhenAll_anErrorCancelsTheOthers_andIsThrownOnceAllHaveEnded) {
  int cancelled = 0;
  const auto all = [&]() -> Task<> {
    co_await whenAll(untilCancelled(cancelled), failAfter(milliseconds(1)),
                     untilCancelled(cancelled));
  };

  EXPECT_EQ(errorOf(run(all())), "failed");
  EXPECT_EQ(cancelled, 2);
}

TEST_F(WhenTest, WhenAny_takesTheFirst_andCancelsTheOthers) {
  int cancelled = 0;
  const auto any = [&]() -> Task<std::size_t> {
    auto first = co_await whenAny(untilCancelled(cancelled), after(milliseconds(1), 7),
                                  untilCancelled(cancelled));
    co_return first.index() * 10 + static_cast<std::size_t>(std::get<1>(first));
  };

  Result<std::size_t> result = run(any());

  ASSERT_TRUE(result) << errorOf(result);
  EXPECT_EQ(*result, 17U);
  EXPECT_EQ(cancelled, 2);
}

TEST_F(WhenTest, WhenAny_ofAVector_saysWhich) {
  const auto any = []() -> Task<std::size_t> {
    std::vector<Task<int>> tasks;
    tasks.push_back(after(hours(1), 0));
    tasks.push_back(after(milliseconds(1), 1));
    const auto [index, value] = co_await whenAny(std::move(tasks));
    co_return index * 10 + static_cast<std::size_t>(value);
  };

  Result<std::size_t> result = run(any());

  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 11U);
}

TEST_F(WhenTest, WithTimeout_aValueInTime_isTheValue) {
  Result<int> result = run(withTimeout(hours(1), after(milliseconds(1), 5)));

  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 5);
}

// Milliseconds that the clock's unit cannot hold.
TEST_F(WhenTest, WithTimeout_beyondTheClock_isNeverOver) {
  Result<int> result = run(withTimeout(milliseconds::max(), after(milliseconds(1), 5)));

  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 5);
}

TEST_F(WhenTest, WithTimeout_theTimeIsOver_cancelsTheTaskAndThrows) {
  int cancelled = 0;

  const Result<void> result = run(withTimeout(milliseconds(1), untilCancelled(cancelled)));

  EXPECT_EQ(errorOf(result), TimedOut().what());
  EXPECT_EQ(cancelled, 1);
}

TEST_F(WhenTest, WithTimeout_ofAnotherTimeout_theInnerOneIsTheOneThatThrows) {
  const auto inner = []() -> Task<int> {
    try {
      co_await withTimeout(milliseconds(1), after(hours(1), 1));
    } catch (const TimedOut&) {
      co_return 42;
    }
    co_return 0;
  };

  Result<int> result = run(withTimeout(hours(1), inner()));

  ASSERT_TRUE(result) << errorOf(result);
  EXPECT_EQ(*result, 42);
}

TEST_F(WhenTest, Scoped_endsWhenAllThatItSpawnedHasEnded) {
  int done = 0;
  const auto work = [&](Duration delay) -> Task<> {
    co_await sleep(delay);
    ++done;
  };
  const auto body = [&](Scope& scope) -> Task<> {
    for (int i = 0; i < 10; ++i) scope.spawn(work(milliseconds(i % 3)));
    co_return;
  };

  const Result<void> result = run(scoped(body));

  EXPECT_TRUE(result) << errorOf(result);
  EXPECT_EQ(done, 10);
}

TEST_F(WhenTest, Scoped_anErrorOfATask_cancelsTheBodyAndTheRest) {
  int cancelled = 0;
  const auto body = [&](Scope& scope) -> Task<> {
    scope.spawn(untilCancelled(cancelled));
    scope.spawn(failAfter(milliseconds(1)));
    co_await untilCancelled(cancelled);
  };

  EXPECT_EQ(errorOf(run(scoped(body))), "failed");
  EXPECT_EQ(cancelled, 2);
}

TEST_F(WhenTest, Scoped_cancelledOnPurpose_endsWithoutAnError) {
  int cancelled = 0;
  const auto body = [&](Scope& scope) -> Task<> {
    scope.spawn(untilCancelled(cancelled));
    co_await sleep(milliseconds(1));
    scope.cancel();
  };

  const Result<void> result = run(scoped(body));

  EXPECT_TRUE(result) << errorOf(result);
  EXPECT_EQ(cancelled, 1);
}

}  // namespace
}  // namespace gyre::co
