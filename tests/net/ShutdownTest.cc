// Closing in good order: what was sent arrives whole, whatever the peer does meanwhile, and nobody
// is waited for without a limit.
#include <cerrno>
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

class ShutdownTest : public ServerFixture {
 protected:
  ServerScript noting(ServerScript script) {
    script.onClose = [this](const TcpConnectionPtr& connection) {
      reason_ = connection->closeReason();
      bytesSent_ = connection->bytesSent();
    };
    return script;
  }

  // Reads to the end, and sends as much as is taken between the reads.
  static std::string receiveToEndWhileSending(Peer& peer, std::string_view chatter) {
    std::string got;
    while (true) {
      const std::size_t before = got.size();
      got += peer.receive(16 * 1024);
      if (got.size() - before < 16 * 1024) return got;
      peer.sendSome(chatter);
    }
  }

  CloseReason reason_ = CloseReason::None;
  std::uint64_t bytesSent_ = 0;
};

TEST_F(ShutdownTest, EightMiBPending_andAPeerThatKeepsSending_allArrivesThenFin) {
  const std::string answer = patternBytes(8 * kMiB);
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) {
    connection->send(answer);
    connection->shutdown();
  }}));
  Peer peer = connect();
  const std::string chatter(10'000, 'c');
  EXPECT_TRUE(receiveToEndWhileSending(peer, chatter) == answer);
  EXPECT_TRUE(peer.hasEnded()) << "FIN, not a reset";
  EXPECT_EQ(peer.error(), 0);
  EXPECT_EQ(count(CallbackKind::Message), 0U);
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Shutdown);
  EXPECT_EQ(bytesSent_, answer.size());
}

// A close while the request still comes in would reset the connection and destroy the answer.
TEST_F(ShutdownTest, EarlyAnswer_whileThePeerStillSends_arrivesWhole) {
  const std::string answer = patternBytes(64 * 1024);
  start(noting({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->send(answer);
    connection->shutdown();
  }}));
  Peer peer = connect();
  EXPECT_TRUE(peer.send(patternBytes(16 * kMiB))) << "we discard what the peer still sends";
  peer.halfClose();
  EXPECT_TRUE(peer.receiveToEnd() == answer);
  EXPECT_EQ(peer.error(), 0);
  EXPECT_EQ(count(CallbackKind::Message), 1U) << "none after shutdown";
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Shutdown);
}

TEST_F(ShutdownTest, PeerThatNeverAnswersOurFin_isLeftAfterTheLingerTime) {
  start(noting({.options = {.timeouts = {.close = std::chrono::milliseconds(50)}},
                .onUp = [](const TcpConnectionPtr& connection) {
                  connection->send("goodbye");
                  connection->shutdown();
                }}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "goodbye");
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::LingerTimeout);
  EXPECT_EQ(loop().counters().timeouts.get(), 1U);
}

TEST_F(ShutdownTest, PeerThatSendsForEverAfterOurFin_isLeftAfterTheLingerBytes) {
  start(noting({.options = {.lingerBytes = kMiB},
                .onUp = [](const TcpConnectionPtr& connection) { connection->shutdown(); }}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "");
  EXPECT_FALSE(peer.send(patternBytes(64 * kMiB)));
  EXPECT_TRUE(peer.error() == ECONNRESET || peer.error() == EPIPE) << peer.error();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::LingerTimeout);
  EXPECT_LE(loop().counters().bytesReceived.get(), 8 * kMiB);
}

TEST_F(ShutdownTest, AnswerOfThePeerToOurFin_endsTheLingeringAtOnce) {
  start(noting({.onUp = [](const TcpConnectionPtr& connection) { connection->shutdown(); }}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "");
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Shutdown);
  EXPECT_EQ(loop().counters().timers.get(), 0U);
}

TEST_F(ShutdownTest, DataForAConnectionThatCloses_isDiscardedWithoutAMessage) {
  start(noting({.onUp = [](const TcpConnectionPtr& connection) { connection->shutdown(); }}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("too late"));
  EXPECT_EQ(peer.receiveToEnd(), "");
  ASSERT_TRUE(peer.send("far too late"));
  settle();
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(count(CallbackKind::Message), 0U);
  EXPECT_EQ(reason_, CloseReason::Shutdown);
}

TEST_F(ShutdownTest, SendAfterShutdownOrClose_isIgnored) {
  TcpConnectionPtr kept;
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) {
    kept = connection;
    connection->send("first");
    connection->shutdown();
    connection->send("second");
    connection->shutdown();
  }}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "first");
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
  kept->send("third");
  kept->send(std::string(100'000, 'x'));
  kept->shutdown();
  kept->forceClose();
  kept->startRead();
  settle();
  EXPECT_EQ(bytesSent_, 5U);
  EXPECT_EQ(kept->outputBytes(), 0U);
}

TEST_F(ShutdownTest, SendThenShutdown_fromAnotherThread_sendsAllFirst) {
  TcpConnectionPtr kept;
  start({.threads = 1, .onUp = [&](const TcpConnectionPtr& connection) { kept = connection; }});
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    expected += std::to_string(i) + ' ';
    kept->send(std::to_string(i) + ' ');
  }
  kept->shutdown();
  kept->send("ignored");
  EXPECT_EQ(peer.receiveToEnd(), expected);
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
}

TEST_F(ShutdownTest, ForceClose_endsAGracefulCloseThatWaits) {
  TcpConnectionPtr kept;
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) {
    kept = connection;
    connection->send(patternBytes(8 * kMiB));
    connection->shutdown();
  }}));
  const Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  settle();
  kept->forceClose();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Aborted);
}

TEST_F(ShutdownTest, Shutdown_afterForceClose_changesNothing) {
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) {
    connection->forceClose();
    connection->shutdown();
  }}));
  const Peer peer = connect();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Aborted);
}

TEST_F(ShutdownTest, CloseOfThePeer_withNothingPending_closesAtOnce) {
  start(noting({}));
  { const std::vector<Peer> peers = connectMany(1); }
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::PeerClosed);
  EXPECT_EQ(count(CallbackKind::Message), 0U);
}

}  // namespace
}  // namespace gyre
