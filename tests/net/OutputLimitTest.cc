// A peer that does not read what we send: told, held back or closed, and never at the price of
// unbounded memory.
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/NotingFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

class OutputLimitTest : public NotingFixture {
 protected:
  // As inside a callback of the user's.
  void sendInLoop(std::size_t size) {
    loop().runInLoop([this, size] { connection_->send(std::string(size, 'x')); });
  }
};

TEST_F(OutputLimitTest, HighWater_isToldOncePerRise) {
  std::vector<std::size_t> told;
  start(noting(
      {.options = {.highWaterMark = 16 * kMiB},
       .onHighWater = [&](const TcpConnectionPtr&, std::size_t bytes) { told.push_back(bytes); }}));
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  sendInLoop(16 * kMiB);
  settle();
  EXPECT_EQ(told.size(), 0U) << "at the mark is not above it";
  sendInLoop(16 * kMiB);
  EXPECT_EQ(told.size(), 0U) << "not inside the user's call";
  settle();
  sendInLoop(kMiB);
  settle();
  ASSERT_EQ(told.size(), 1U) << "once, while it stays above";
  EXPECT_GT(told[0], 16 * kMiB);

  // All is read, and it rises again.
  EXPECT_EQ(peer.receive(33 * kMiB).size(), 33 * kMiB);
  sendInLoop(17 * kMiB);
  settle();
  EXPECT_EQ(told.size(), 2U);
}

TEST_F(OutputLimitTest, HighWater_isNotToldOnceClosed) {
  start(noting({.options = {.highWaterMark = 1000}, .onUp = [](const TcpConnectionPtr& connection) {
                  connection->send(std::string(100'000, 'x'));
                  connection->forceClose();
                }}));
  const Peer peer = connect();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(count(CallbackKind::HighWater), 0U);
}

TEST_F(OutputLimitTest, PeerThatClosesDuringTheHighWaterCallback_isClosedOnce) {
  std::vector<Peer> peers;
  start(noting({.options = {.highWaterMark = 1000},
                .onHighWater = [&](const auto&, std::size_t) { peers.clear(); }}));
  peers = connectMany(1);
  sendInLoop(8 * kMiB);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(count(CallbackKind::HighWater), 1U);
  EXPECT_TRUE(echoes());
}

TEST_F(OutputLimitTest, SendAfterForceClose_takesNoMemory) {
  std::size_t queued = 1;
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) {
    connection->forceClose();
    connection->send(std::string(kMiB, 'x'));
    queued = connection->outputBytes();
  }}));
  const Peer peer = connect();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(queued, 0U);
}

TEST_F(OutputLimitTest, Report_letsItGrow) {
  start(noting({.options = {.outputLimit = kMiB, .outputPolicy = OutputPolicy::Report}}));
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  for (int i = 0; i < 40; ++i) sendInLoop(kMiB);
  settle();
  EXPECT_GT(connection_->outputBytes(), 16 * kMiB);
  EXPECT_TRUE(connection_->connected());
  EXPECT_EQ(peer.receive(40 * kMiB).size(), 40 * kMiB);
}

TEST_F(OutputLimitTest, PauseReading_boundsWhatAPeerCosts_thatPushesAndNeverReads) {
  start(noting({.options = {.outputLimit = kMiB, .outputPolicy = OutputPolicy::PauseReading}}));
  Peer peer = connect();
  const std::string text = patternBytes(64 * kMiB);
  const std::size_t sent = peer.sendUntilStalled(text);
  EXPECT_LT(sent, text.size()) << "held back";
  EXPECT_LT(connection_->outputBytes(), 4 * kMiB);
  EXPECT_GT(connection_->outputBytes(), kMiB / 2);
  const std::uint64_t taken = loop().counters().bytesReceived.get();
  settle();
  EXPECT_EQ(loop().counters().bytesReceived.get(), taken);

  // It reads after all, and the echo goes on: every byte.
  EXPECT_TRUE(peer.receive(sent) == text.substr(0, sent));
  EXPECT_TRUE(echoes());
}

TEST_F(OutputLimitTest, PauseReading_isNotUndoneByStartRead) {
  start(noting({.options = {.outputLimit = kMiB, .outputPolicy = OutputPolicy::PauseReading}}));
  Peer peer = connect();
  peer.sendUntilStalled(patternBytes(64 * kMiB));
  const std::uint64_t taken = loop().counters().bytesReceived.get();
  connection_->startRead();
  settle();
  EXPECT_EQ(loop().counters().bytesReceived.get(), taken);
}

TEST_F(OutputLimitTest, Close_closesWhoCostsTooMuch_andNobodyElse) {
  start(noting({.options = {.outputLimit = kMiB, .outputPolicy = OutputPolicy::Close}}));
  Peer peer = connect();
  peer.sendUntilStalled(patternBytes(64 * kMiB));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::OutputLimit);
  peer.receiveToEnd();
  EXPECT_EQ(peer.error(), ECONNRESET) << "what was cut short has no end";
  EXPECT_TRUE(echoes());
}

TEST_F(OutputLimitTest, Close_isNotInsideTheSend) {
  bool wasUp = false;
  start(noting({.options = {.outputLimit = 1000, .outputPolicy = OutputPolicy::Close},
                .onUp = [&](const TcpConnectionPtr& connection) {
                  connection->send(std::string(2000, 'x'));
                  wasUp = connection->connected();
                }}));
  const Peer peer = connect();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_TRUE(wasUp);
  EXPECT_EQ(reason_, CloseReason::OutputLimit);
}

// What was queued is lost: nobody may be told that it closed in good order.
TEST_F(OutputLimitTest, Close_thenShutdownInTheSameCallback_isStillTheReason) {
  start(noting({.options = {.outputLimit = 1000, .outputPolicy = OutputPolicy::Close},
                .onUp = [](const TcpConnectionPtr& connection) {
                  connection->send(std::string(2000, 'x'));
                  connection->shutdown();
                }}));
  const Peer peer = connect();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::OutputLimit);
}

}  // namespace
}  // namespace gyre
