#include <stdexcept>
#include <string>

#include "co/CoFixture.h"

namespace gyre::co {
namespace {

class TaskTest : public CoFixture {};

Task<int> half(int value) { co_return value / 2; }

Task<int> quarter(int value) {
  const int first = co_await half(value);
  co_return co_await half(first);
}

Task<std::string> fails(std::string text) {
  throw std::runtime_error(text);
  co_return text;
}

Task<> setWhenRun(bool& hasRun, Token token) {
  static_cast<void>(token);
  hasRun = true;
  co_return;
}

TEST_F(TaskTest, Await_valuesComeBackThroughEachLevel) {
  const Result<int> result = run(quarter(40));

  ASSERT_TRUE(result) << errorOf(result);
  EXPECT_EQ(*Result<int>(result), 10);
}

TEST_F(TaskTest, Await_whatItThrewIsThrownWhereItIsAwaited) {
  const auto outer = []() -> Task<std::string> { co_return co_await fails("no luck"); };

  EXPECT_EQ(errorOf(run(outer())), "no luck");
}

TEST_F(TaskTest, Task_isLazy_andDestroyedUnrunFreesItsArguments) {
  bool hasRun = false;
  int living = 0;

  { const Task<> task = setWhenRun(hasRun, Token(living)); }

  EXPECT_FALSE(hasRun);
  EXPECT_EQ(living, 0);
}

TEST_F(TaskTest, Task_runOnce_freesItsArgumentsOnce) {
  bool hasRun = false;
  int living = 0;

  run(setWhenRun(hasRun, Token(living)));
  runOnce();

  EXPECT_TRUE(hasRun);
  EXPECT_EQ(living, 0);
}

TEST_F(TaskTest, Spawn_doesNotRunInsideTheCall) {
  bool hasRun = false;
  int living = 0;

  const auto spawned = spawn(&loop(), setWhenRun(hasRun, Token(living)));

  EXPECT_FALSE(hasRun);
  EXPECT_TRUE(runUntil([&] { return spawned.hasEnded(); }));
  EXPECT_TRUE(hasRun);
}

// Where the compiler makes no tail call each of these would stay on the stack.
TEST_F(TaskTest, AMillionAwaitsThatCompleteAtOnce_useConstantStack) {
  const auto count = []() -> Task<int> {
    int sum = 0;
    for (int i = 0; i < 1'000'000; ++i) sum += co_await half(2);
    co_return sum;
  };

  Result<int> result = run(count());

  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 1'000'000);
}

Task<int> nested(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await nested(depth - 1);
}

TEST_F(TaskTest, ATenThousandfoldNesting_usesConstantStack) {
  Result<int> result = run(nested(10'000));

  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 10'000);
}

TEST_F(TaskTest, Await_ofAnEmptyTask_isACheck) {
  EXPECT_DEATH(static_cast<void>(Task<>().frame()), "an empty task was awaited");
}

}  // namespace
}  // namespace gyre::co
