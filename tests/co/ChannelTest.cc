#include <memory>
#include <thread>
#include <vector>

#include "co/CoFixture.h"
#include "gyre/loop/EventLoopThread.h"

namespace gyre::co {
namespace {

class ChannelTest : public CoFixture {};

Task<> sendAll(Channel<int>& channel, int count) {
  for (int i = 0; i < count; ++i) co_await channel.send(i);
}

Task<std::vector<int>> receiveAll(Channel<int>& channel) {
  std::vector<int> values;
  while (auto value = co_await channel.receive()) values.push_back(*value);
  co_return values;
}

TEST_F(ChannelTest, OneLoop_valuesComeInOrder_andAFullChannelWaits) {
  Channel<int> channel(2);
  std::vector<int> got;
  const auto both = [&]() -> Task<> {
    const auto produce = [&]() -> Task<> {
      co_await sendAll(channel, 100);
      channel.close();
    };
    auto [none, values] = co_await whenAll(produce(), receiveAll(channel));
    static_cast<void>(none);
    got = std::move(values);
  };

  const Result<void> result = run(both());

  ASSERT_TRUE(result) << errorOf(result);
  ASSERT_EQ(got.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
}

TEST_F(ChannelTest, TwoLoops_nothingIsLostOrReordered) {
  constexpr int kCount = 20'000;
  EventLoopThread thread({.proactor = testProactorOptions()});
  EventLoop* other = thread.startLoop();
  Channel<int> channel(16);
  const auto produce = [&]() -> Task<> {
    co_await sendAll(channel, kCount);
    channel.close();
  };
  const auto sender = spawn(other, produce(), "sender");

  Result<std::vector<int>> result = run(receiveAll(channel));

  ASSERT_TRUE(result) << errorOf(result);
  ASSERT_EQ(result->size(), static_cast<std::size_t>(kCount));
  for (int i = 0; i < kCount; ++i) ASSERT_EQ((*result)[static_cast<std::size_t>(i)], i);
  EXPECT_TRUE(runUntil([&] { return sender.hasEnded(); }));
}

TEST_F(ChannelTest, Close_endsWhoWaits_andWhatWasSentIsStillReceived) {
  Channel<int> channel(4);
  int value = 1;
  ASSERT_TRUE(channel.trySend(value));
  channel.close();

  Result<std::vector<int>> result = run(receiveAll(channel));

  ASSERT_TRUE(result);
  EXPECT_EQ(*result, std::vector<int>{1});
  EXPECT_FALSE(channel.trySend(value));
}

TEST_F(ChannelTest, Send_thatIsCancelled_hasNotSent) {
  Channel<int> channel(1);
  int value = 1;
  ASSERT_TRUE(channel.trySend(value));
  const auto sender = spawn(&loop(), sendAll(channel, 1), "sender");
  runOnce();

  sender.cancel();
  ASSERT_TRUE(runUntil([&] { return sender.hasEnded(); }));

  EXPECT_EQ(channel.tryReceive(), 1);
  EXPECT_EQ(channel.tryReceive(), std::nullopt);
}

TEST_F(ChannelTest, MoveOnlyValues_passThrough) {
  Channel<std::unique_ptr<int>> channel(1);
  const auto pass = [&]() -> Task<int> {
    co_await channel.send(std::make_unique<int>(9));
    auto got = co_await channel.receive();
    co_return **got;
  };

  Result<int> result = run(pass());

  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 9);
}

TEST_F(ChannelTest, Event_setOnAnotherThread_wakesAll) {
  Event event;
  int woken = 0;
  const auto wait = [&]() -> Task<> {
    co_await event.wait();
    ++woken;
  };
  const auto first = spawn(&loop(), wait());
  const auto second = spawn(&loop(), wait());
  runOnce();
  EXPECT_EQ(woken, 0);

  std::thread([&] { event.set(); }).join();

  EXPECT_TRUE(runUntil([&] { return woken == 2; }));
  const Result<void> third = run(wait());
  EXPECT_TRUE(third);
}

TEST_F(ChannelTest, Semaphore_letsSoManyIn_inOrder) {
  Semaphore semaphore(2);
  int inside = 0;
  int insideMax = 0;
  std::vector<int> order;
  const auto work = [&](int number) -> Task<> {
    const Permit permit = co_await semaphore.acquire();
    order.push_back(number);
    insideMax = std::max(insideMax, ++inside);
    co_await sleep(Duration::zero());
    --inside;
  };
  const auto body = [&](Scope& scope) -> Task<> {
    for (int i = 0; i < 6; ++i) scope.spawn(work(i));
    co_return;
  };

  const Result<void> result = run(scoped(body));

  ASSERT_TRUE(result) << errorOf(result);
  EXPECT_EQ(insideMax, 2);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(semaphore.available(), 2U);
}

}  // namespace
}  // namespace gyre::co
