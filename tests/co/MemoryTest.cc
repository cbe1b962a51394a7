// What coroutines cost in heap memory, and that a refusal of it ends a task and nothing else.
#include "support/Sanitizers.h"

#ifndef GYRE_TEST_SANITIZED

#include <limits>
#include <new>
#include <thread>

#include "co/CoFixture.h"
#include "net/AllocationCounter.h"

namespace gyre::co {
namespace {

class MemoryTest : public CoFixture {};

Task<int> one() { co_return 1; }

Task<int> oneLater() {
  Event event;
  event.set();
  co_await event.wait();
  co_return 1;
}

// Every kind of await that needs no timer.
Task<int> round(Channel<int>& channel, EventLoop& loop) {
  int sum = co_await one();
  auto [first, second] = co_await whenAll(oneLater(), one());
  sum += first + second;
  co_await channel.send(sum);
  sum += *co_await channel.receive();
  const auto spawned = spawn(&loop, one());
  sum += co_await spawned.join();
  const auto body = [&](Scope& scope) -> Task<> {
    const auto add = [&]() -> Task<> {
      ++sum;
      co_return;
    };
    scope.spawn(add());
    co_return;
  };
  co_await scoped(body);
  co_return sum;
}

TEST_F(MemoryTest, OnceWarm_awaitsAndChildTasksNeedNoHeapMemory) {
  Channel<int> channel(2);
  std::size_t needed = 1;
  const auto play = [&]() -> Task<> {
    for (int i = 0; i < 10; ++i) co_await round(channel, loop());
    const std::size_t before = allocationsOfThisThread();
    for (int i = 0; i < 100; ++i) co_await round(channel, loop());
    needed = allocationsOfThisThread() - before;
  };

  const Result<void> result = run(play());

  ASSERT_TRUE(result) << errorOf(result);
  EXPECT_EQ(needed, 0U);
}

// On a thread of its own, whose pools are empty: each frame is an allocation that can fail.
void playRefused(std::size_t n, bool& hasEnded, bool& wasRefused) {
  EventLoop loop(testProactorOptions());
  Channel<int> channel(2);
  Result<int> result;
  const auto play = [&]() -> Task<> {
    refuseAllocation(n);
    try {
      result = Result<int>(co_await round(channel, loop));
    } catch (const std::bad_alloc&) {
      wasRefused = true;
    }
    refuseAllocation(std::numeric_limits<std::size_t>::max());
    hasEnded = true;
    loop.quit();
  };
  static_cast<void>(spawn(&loop, play()));
  loop.loop();
  // The loop and the next task are as good as before.
  const auto again = [&]() -> Task<> {
    result = Result<int>(co_await round(channel, loop));
    loop.quit();
  };
  static_cast<void>(spawn(&loop, again()));
  loop.loop();
  EXPECT_TRUE(result) << n;
}

TEST_F(MemoryTest, TheNthAllocationFails_theTaskEndsAndTheLoopLives) {
  bool wasRefused = true;
  for (std::size_t n = 0; wasRefused; ++n) {
    ASSERT_LT(n, 1000U);
    wasRefused = false;
    bool hasEnded = false;

    std::thread([&] { playRefused(n, hasEnded, wasRefused); }).join();

    EXPECT_TRUE(hasEnded) << n;
  }
}

}  // namespace
}  // namespace gyre::co

#endif
