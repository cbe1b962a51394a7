// The stages of a memory budget: pausing, refusing, aborting whoever holds most.
#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>

#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

class BudgetStagesTest : public ServerFixture {
 protected:
  void startWith(std::size_t budget, ServerScript script = {}) {
    script.configure = [budget](TcpServer& server) { server.setLimits({.memoryBudget = budget}); };
    script.onUp = [this](const TcpConnectionPtr& connection) {
      connections_.push_back(connection);
    };
    script.onClose = [this](const TcpConnectionPtr& connection) {
      reasons_[connection->id()] = connection->closeReason();
    };
    start(std::move(script));
  }
  void TearDown() override {
    connections_.clear();
    ServerFixture::TearDown();
  }
  // To a peer that does not read; stays within the loop.
  void push(std::size_t index, std::size_t bytes) {
    connections_[index]->send(std::string(bytes, 'x'));
    settle();
  }
  ServerStats stats() { return server()->stats(); }

  std::vector<TcpConnectionPtr> connections_;
  std::map<std::uint64_t, CloseReason> reasons_;
};

TEST_F(BudgetStagesTest, Greedy_isPaused_whileTheModestGoesOn) {
  startWith(32 * kMiB, {.options = {.outputPolicy = OutputPolicy::Report}});
  Peer greedy = connect(4096);
  Peer modest = connect();
  ASSERT_TRUE(runUntilUp(2));
  push(0, 20 * kMiB);
  EXPECT_EQ(stats().pausedForMemory, 1U);
  EXPECT_GE(stats().bytesHeld, 15 * kMiB);
  greedy.sendUntilStalled(patternBytes(16 * kMiB));
  settle();
  EXPECT_EQ(connections_[0]->bytesReceived(), 0U) << "it is not read";
  ASSERT_TRUE(modest.send("hello"));
  EXPECT_EQ(modest.receive(5), "hello");
}

TEST_F(BudgetStagesTest, Paused_isReadAgain_onceItHasTakenItsBytes) {
  startWith(32 * kMiB, {.options = {.outputPolicy = OutputPolicy::Report}});
  Peer greedy = connect(4096);
  ASSERT_TRUE(runUntilUp(1));
  push(0, 22 * kMiB);
  ASSERT_TRUE(greedy.send("hello"));
  EXPECT_EQ(stats().pausedForMemory, 1U);
  EXPECT_EQ(greedy.receive(22 * kMiB).size(), 22 * kMiB);
  EXPECT_EQ(greedy.receive(5), "hello");
  settle();
  EXPECT_EQ(stats().bytesHeld, 0U);
}

TEST_F(BudgetStagesTest, NearTheEnd_newOnesAreRefused) {
  startWith(32 * kMiB, {.options = {.outputPolicy = OutputPolicy::Report}});
  Peer greedy = connect(4096);
  ASSERT_TRUE(runUntilUp(1));
  push(0, 27 * kMiB);
  Peer refused = connect();
  EXPECT_EQ(refused.receiveToEnd(), "");
  EXPECT_EQ(stats().refusedByMemory, 1U);
  greedy.reset();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(stats().bytesHeld, 0U);
  EXPECT_TRUE(echoes());
}

TEST_F(BudgetStagesTest, AtTheEnd_whoeverHoldsMostIsAborted_andOnlyThatOne) {
  startWith(32 * kMiB, {.options = {.outputPolicy = OutputPolicy::Report}});
  std::vector<Peer> peers;
  for (int i = 0; i < 4; ++i) peers.push_back(connect(4096));
  ASSERT_TRUE(runUntilUp(4));
  // The kernel takes some of each.
  push(0, 6 * kMiB);
  push(1, 16 * kMiB);
  push(2, 8 * kMiB);
  push(3, 8 * kMiB);
  ASSERT_TRUE(runUntilClosed(1));
  settle();
  EXPECT_EQ(reasons_.size(), 1U);
  EXPECT_EQ(reasons_[connections_[1]->id()], CloseReason::MemoryBudget);
  EXPECT_EQ(stats().abortedForMemory, 1U);
  EXPECT_LE(stats().bytesHeld, 24 * kMiB);
}

// What is queued is dropped at once, before the connection is aborted.
TEST_F(BudgetStagesTest, AtTheEnd_whoIsAborted_isNotTakenForComplete) {
  startWith(kMiB, {.options = {.outputPolicy = OutputPolicy::Report}});
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  push(0, 2 * kMiB);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reasons_[connections_[0]->id()], CloseReason::MemoryBudget);
  EXPECT_LT(peer.receiveToEnd().size(), 2 * kMiB);
  EXPECT_FALSE(peer.hasEnded()) << "taken for the whole";
  EXPECT_EQ(peer.error(), ECONNRESET);
}

// One string, queued so often that a single connection holds more than the budget.
TEST_F(BudgetStagesTest, AGigabyte_onOneConnection_counts) {
  startWith(1024 * kMiB, {.options = {.outputPolicy = OutputPolicy::Report}});
  Peer greedy = connect(4096);
  ASSERT_TRUE(runUntilUp(1));
  const auto shared = std::make_shared<const std::string>(16 * kMiB, 'x');
  for (int i = 0; i < 65; ++i) connections_[0]->send(shared);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reasons_[connections_[0]->id()], CloseReason::MemoryBudget);
  EXPECT_EQ(stats().bytesHeld, 0U);
}

TEST_F(BudgetStagesTest, UnreadInput_counts) {
  startWith(4 * kMiB, {.onMessage = keepAll});
  Peer hoarder = connect();
  Peer other = connect();
  ASSERT_TRUE(runUntilUp(2));
  hoarder.sendUntilStalled(patternBytes(64 * kMiB));
  settle();
  EXPECT_EQ(stats().pausedForMemory, 1U);
  EXPECT_GE(stats().bytesHeld, 2 * kMiB);
  EXPECT_LE(connections_[0]->inputBytes(), 8 * kMiB);
  EXPECT_EQ(stats().abortedForMemory, 0U);
}

TEST_F(BudgetStagesTest, OneConnection_isTakenLimitedBytesFromPerIteration) {
  startWith(0, {.onMessage = [](const auto&, Buffer& in) { in.retrieveAll(); }});
  Peer flood = connect();
  ASSERT_TRUE(runUntilUp(1));
  std::uint64_t most = 0;
  std::uint64_t before = 0;
  const std::string bytes = patternBytes(4 * kMiB);
  for (int i = 0; i < 200; ++i) {
    flood.sendSome(bytes);
    loop().runOnce(loop().now() + std::chrono::milliseconds(10));
    const std::uint64_t now = connections_[0]->bytesReceived();
    most = std::max(most, now - before);
    before = now;
  }
  EXPECT_GT(before, kMiB);
  EXPECT_LE(most, 8 * kMiB) << "the receive buffers of a loop bound it";
}

}  // namespace
}  // namespace gyre
