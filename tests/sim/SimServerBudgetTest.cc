// The memory budget of a server in virtual time: pausing at 1/2, refusing from 3/4, aborting from
// 7/8, with clients that take nothing, all of a sudden or a little at a time.
#include <algorithm>

#include "sim/SimServerFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

class SimServerBudgetTest : public SimServerFixture {
 protected:
  // Of 16 MiB. The kernel's queue of a connection holds 64 KiB, its peer's as much.
  void startWith(SimServerScript script = {}) {
    script.limits.memoryBudget = 16 * kMiB;
    script.options.outputPolicy = OutputPolicy::Report;
    script.options.outputLimit = 1024 * kMiB;
    start(std::move(script));
  }
  // Clients that never read, up in this order.
  void connectStalled(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) connect().stall();
    run(1ms);
    ASSERT_EQ(ups(), count);
  }
  // On the loop, as a timer of the user's does it.
  void push(std::uint64_t id, std::size_t bytes) {
    loop().queueInLoop([this, id, bytes] { life(id).connection->send(std::string(bytes, 'x')); });
    run(1ms);
  }
  std::size_t held() { return stats().bytesHeld; }
};

TEST_F(SimServerBudgetTest, BelowHalf_nothingHappens) {
  startWith();
  connectStalled(4);
  for (std::uint64_t id = 1; id <= 4; ++id) push(id, 2 * kMiB - 200 * 1024);
  EXPECT_LT(held(), 8 * kMiB);
  EXPECT_EQ(stats().pausedForMemory, 0u);
  client().connect(address());
  run(1s);
  EXPECT_EQ(ups(), 5u);
}

TEST_F(SimServerBudgetTest, FromHalfOn_theGreedyIsNotRead_andTheModestIs) {
  startWith();
  connectStalled(1);
  SimClient& modest = connect();
  push(1, 8 * kMiB + 300 * 1024);
  EXPECT_GE(held(), 8 * kMiB);
  EXPECT_EQ(stats().pausedForMemory, 1u);
  clients()[0]->send("hello");
  modest.send("hello").awaitBytes(5);
  run(10min);
  EXPECT_EQ(modest.received(), "hello");
  EXPECT_EQ(life(1).connection->bytesReceived(), 0u);
  EXPECT_EQ(overs(), 0u);
}

TEST_F(SimServerBudgetTest, Paused_isReadAgain_withinATickOfWhenOthersHaveGone) {
  startWith();
  connectStalled(2);
  push(1, 4 * kMiB + 200 * 1024);
  push(2, 4 * kMiB + 200 * 1024);
  ASSERT_GE(stats().pausedForMemory, 1u);
  clients()[1]->send("hello");
  run(1s);
  ASSERT_EQ(life(2).connection->bytesReceived(), 0u);
  clients()[0]->reset();
  run(2 * kTick);
  EXPECT_EQ(life(2).connection->bytesReceived(), 5u) << "its share has grown";
}

// 4 messages of 4 MiB do not fit into half of 16 MiB: each waits for what the others hold.
TEST_F(SimServerBudgetTest, PausedAmidAMessage_oneAfterTheOtherIsAborted_untilTheRestGoesOn) {
  constexpr std::size_t kMessage = 4 * kMiB;
  SimServerScript script;
  script.options.inputLimit = 1024 * kMiB;
  script.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    if (in.readableBytes() < kMessage) return;
    in.retrieveAll();
    connection->send("done");
  };
  startWith(std::move(script));
  for (int i = 0; i < 4; ++i) connect().send(std::string(kMessage, 'm')).awaitBytes(4);
  run(9s);
  EXPECT_EQ(overs(), 0u);
  EXPECT_GE(held(), 8 * kMiB) << "nobody can go on";
  run(40s);
  EXPECT_EQ(endedBy(CloseReason::MemoryBudget), 2u);
  const auto served = std::count_if(clients().begin(), clients().end(), [](const auto& client) {
    return client->received() == "done";
  });
  EXPECT_EQ(served, 2);
  EXPECT_EQ(held(), 0u);
}

TEST_F(SimServerBudgetTest, PausedByItsUserToo_isLeftAlone) {
  SimServerScript script;
  script.options.inputLimit = 1024 * kMiB;
  script.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    if (in.readableBytes() > 4 * kMiB) connection->stopRead();
  };
  startWith(std::move(script));
  for (int i = 0; i < 2; ++i) connect().send(std::string(6 * kMiB, 'm'));
  run(10min);
  EXPECT_EQ(overs(), 0u);
}

TEST_F(SimServerBudgetTest, FromThreeQuartersOn_newClientsAreRefused_andLetInAgainLater) {
  startWith();
  connectStalled(1);
  push(1, 12 * kMiB + 300 * 1024);
  for (int i = 0; i < 20; ++i) client().connect(address()).awaitEnd().close();
  run(1s);
  EXPECT_EQ(ups(), 1u);
  EXPECT_EQ(stats().refusedByMemory, 20u);
  EXPECT_EQ(stats().accepted, 21u);
  for (std::size_t i = 1; i <= 20; ++i) {
    EXPECT_TRUE(clients()[i]->hasEnded() || clients()[i]->wasReset());
  }
  clients().front()->resume().awaitBytes(12 * kMiB);
  run(1min);
  EXPECT_EQ(held(), 0u);
  SimClient& late = connect();
  late.send("hello").awaitBytes(5);
  run(1s);
  EXPECT_EQ(late.received(), "hello");
}

TEST_F(SimServerBudgetTest, FromSevenEighthsOn_whoeverHoldsMostIsAborted_andOnlyThatOne) {
  startWith();
  connectStalled(4);
  push(1, 2 * kMiB);
  push(2, 7 * kMiB);
  push(3, 3 * kMiB);
  EXPECT_EQ(stats().abortedForMemory, 0u);
  push(4, 3 * kMiB);
  run(1s);
  EXPECT_EQ(stats().abortedForMemory, 1u);
  EXPECT_EQ(endedBy(CloseReason::MemoryBudget), 1u);
  EXPECT_TRUE(life(2).isOver);
  EXPECT_EQ(life(2).error, ENOBUFS);
  EXPECT_LE(held(), 8 * kMiB);
}

// Whatever the clients do not take, the server stays within its budget and serves the others.
TEST_F(SimServerBudgetTest, HundredsWhoNeverRead_theServerStaysWithinIt_andServesTheOthers) {
  startWith();
  std::size_t most = 0;
  connectStalled(300);
  SimClient& modest = connect();
  for (int round = 0; round < 40; ++round) {
    loop().queueInLoop([this] {
      for (auto& [id, life] : lives()) {
        if (!life.isOver && id <= 300) life.connection->send(std::string(16 * 1024, 'x'));
      }
    });
    modest.send("ping");
    // No callback has more in hand than one message.
    ASSERT_TRUE(network().runUntil(
        [&] {
          most = std::max(most, held());
          return modest.bytesReceived() == 4u * (static_cast<std::size_t>(round) + 1);
        },
        1s))
        << "round " << round;
  }
  EXPECT_LE(most, 16 * kMiB);
  EXPECT_GT(most, 13 * kMiB) << "or it was no test";
  EXPECT_GT(stats().pausedForMemory, 100u);
  EXPECT_EQ(stats().abortedForMemory, endedBy(CloseReason::MemoryBudget));
  EXPECT_GT(stats().abortedForMemory, 0u);
  EXPECT_FALSE(life(301).isOver);
  for (const auto& one : clients()) one->reset();
  run(1min);
  EXPECT_EQ(held(), 0u) << "all of it is given back";
  EXPECT_EQ(overs(), ups());
}

TEST_F(SimServerBudgetTest, UnreadInput_countsAsMuchAsOutput) {
  startWith({.onMessage = [](const TcpConnectionPtr&, Buffer&) {}});
  for (int i = 0; i < 8; ++i) client().connect(address()).send(std::string(4 * kMiB, 'x'));
  run(8s);  // after ten they are given up
  EXPECT_GE(held(), 8 * kMiB);
  EXPECT_LE(held(), 12 * kMiB) << "nobody is read beyond the share";
  EXPECT_EQ(stats().abortedForMemory, 0u);
  EXPECT_EQ(overs(), 0u);
  std::uint64_t sent = 0;
  for (const auto& one : clients()) sent += one->bytesSent();
  EXPECT_LE(sent, held() + 8 * (128 + 8) * 1024) << "the rest waits with the clients";
}

// Timeouts free what the budget holds.
TEST_F(SimServerBudgetTest, WriteStall_givesBackWhatTheStalledHold) {
  startWith({.options = {.timeouts = {.writeStall = 5s}}});
  connectStalled(10);
  for (std::uint64_t id = 1; id <= 10; ++id) push(id, kMiB + 200 * 1024);
  ASSERT_GT(held(), 9 * kMiB);
  run(6s);
  EXPECT_EQ(endedBy(CloseReason::WriteStall), 10u);
  EXPECT_EQ(held(), 0u);
}

}  // namespace
}  // namespace gyre
