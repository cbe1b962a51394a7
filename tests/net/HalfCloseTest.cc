// One direction ends, the other goes on.
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/NotingFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

class HalfCloseTest : public NotingFixture {
 protected:
  MessageCallback collect() {
    return [this](const TcpConnectionPtr&, Buffer& in) { got_ += in.retrieveAllAsString(); };
  }
  void expectClosed(CloseReason reason) {
    ASSERT_TRUE(runUntilClosed(1));
    EXPECT_EQ(reason_, reason) << "with error " << error_;
    EXPECT_EQ(error_, 0);
  }

  std::string got_;
};

TEST_F(HalfCloseTest, EndOfInput_withACallback_letsTheUserAnswer) {
  const std::string answer = patternBytes(kMiB);
  start(noting({.onMessage = collect(), .onHalfClose = [&](const TcpConnectionPtr& connection) {
                  EXPECT_TRUE(connection->connected());
                  EXPECT_EQ(got_, "question") << "all bytes before the end";
                  connection->send(answer);
                  connection->shutdown();
                }}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("question"));
  peer.halfClose();
  EXPECT_TRUE(peer.receiveToEnd() == answer);
  EXPECT_TRUE(peer.hasEnded());
  expectClosed(CloseReason::Shutdown);
}

TEST_F(HalfCloseTest, EndOfInput_withACallbackThatDoesNothing_leavesTheConnectionUp) {
  start(noting({.onHalfClose = [](const TcpConnectionPtr&) {}}));
  Peer peer = connect();
  peer.halfClose();
  ASSERT_TRUE(runUntil([&] { return count(CallbackKind::HalfClose) == 1; }));
  settle();
  EXPECT_TRUE(connection_->connected());
  connection_->send("later");
  EXPECT_EQ(peer.receive(5), "later");
  connection_->shutdown();
  EXPECT_EQ(peer.receiveToEnd(), "");
  expectClosed(CloseReason::Shutdown);
  EXPECT_EQ(count(CallbackKind::HalfClose), 1U);
}

TEST_F(HalfCloseTest, EndOfInput_beforeAnyByte_withoutACallback_closes) {
  start(noting({}));
  Peer peer = connect();
  peer.halfClose();
  EXPECT_EQ(peer.receiveToEnd(), "");
  expectClosed(CloseReason::PeerClosed);
}

TEST_F(HalfCloseTest, EndOfInput_withoutACallback_closesAfterWhatIsQueued) {
  const std::string answer = patternBytes(8 * kMiB);
  start(noting({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->send(answer);
  }}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("give"));
  peer.halfClose();
  EXPECT_TRUE(peer.receiveToEnd() == answer);
  EXPECT_TRUE(peer.hasEnded());
  expectClosed(CloseReason::PeerClosed);
}

TEST_F(HalfCloseTest, ShutdownWrite_endsOurSideAndStillReceives) {
  const std::string greeting = patternBytes(kMiB);
  start(noting({.onUp =
                    [&](const TcpConnectionPtr& connection) {
                      connection->send(greeting);
                      connection->shutdownWrite();
                      connection->send("ignored");
                      connection->shutdownWrite();
                    },
                .onMessage = collect()}));
  Peer peer = connect();
  EXPECT_TRUE(peer.receiveToEnd() == greeting);
  EXPECT_TRUE(peer.hasEnded());
  const std::string text = patternBytes(kMiB);
  ASSERT_TRUE(peer.send(text));
  ASSERT_TRUE(runUntil([&] { return got_ == text; }));
  EXPECT_TRUE(connection_->connected());
  peer.close();
  expectClosed(CloseReason::PeerClosed);
}

TEST_F(HalfCloseTest, ShutdownWrite_afterTheEndOfInput_closes) {
  start(noting({.onHalfClose = [](const TcpConnectionPtr& connection) {
    connection->send("bye");
    connection->shutdownWrite();
  }}));
  Peer peer = connect();
  peer.halfClose();
  EXPECT_EQ(peer.receiveToEnd(), "bye");
  expectClosed(CloseReason::PeerClosed);
}

// Both directions have ended by then: POLLHUP, which a reset raises too.
TEST_F(HalfCloseTest, EndOfInput_afterShutdownWrite_isNoReset) {
  start(noting({.onUp = [](const TcpConnectionPtr& connection) { connection->shutdownWrite(); },
                .onHalfClose = [](const TcpConnectionPtr&) {}}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "");
  peer.halfClose();
  expectClosed(CloseReason::PeerClosed);
  EXPECT_EQ(count(CallbackKind::HalfClose), 1U);
}

TEST_F(HalfCloseTest, PeerCloses_whilePausedAfterShutdownWrite_itsBytesAreNotLost) {
  start(noting({.onUp =
                    [](const TcpConnectionPtr& connection) {
                      connection->stopRead();
                      connection->shutdownWrite();
                    },
                .onMessage = collect()}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "");
  ASSERT_TRUE(peer.send("late"));
  peer.close();
  settle();
  EXPECT_EQ(watch().openCount(), 1U);
  connection_->startRead();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(got_, "late");
  EXPECT_EQ(reason_, CloseReason::PeerClosed);
}

TEST_F(HalfCloseTest, ShutdownWrite_whileBytesAndTheEndAreNotYetTold_keepsThem) {
  start(noting({.onMessage =
                    [this](const TcpConnectionPtr& connection, Buffer& in) {
                      got_ += in.retrieveAsString(4);
                      connection->stopRead();
                    },
                .onHalfClose = [this](const TcpConnectionPtr&) { EXPECT_EQ(got_, "one.two."); }}));
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  peer.sendSome("one.two.");
  peer.halfClose();
  ASSERT_TRUE(runUntil([&] { return got_ == "one."; }));
  connection_->shutdownWrite();
  settle();
  EXPECT_EQ(watch().openCount(), 1U);
  EXPECT_EQ(count(CallbackKind::HalfClose), 0U);
  connection_->startRead();
  ASSERT_TRUE(runUntil([&] { return got_ == "one.two."; }));
  connection_->startRead();
  expectClosed(CloseReason::PeerClosed);
  EXPECT_EQ(count(CallbackKind::HalfClose), 1U);
}

TEST_F(HalfCloseTest, BothSidesAtOnce_closeInGoodOrder) {
  start(noting({.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    connection->send(in);
    connection->shutdownWrite();
  }}));
  Peer peer = connect();
  ASSERT_EQ(peer.sendSome("both"), 4U);
  peer.halfClose();
  EXPECT_EQ(peer.receiveToEnd(), "both");
  expectClosed(CloseReason::PeerClosed);
}

TEST_F(HalfCloseTest, ShutdownAfterShutdownWrite_waitsForThePeersFin) {
  start(noting({.onUp = [](const TcpConnectionPtr& connection) {
    connection->send("one");
    connection->shutdownWrite();
    connection->shutdown();
  }}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "one");
  EXPECT_EQ(watch().openCount(), 1U);
  peer.close();
  expectClosed(CloseReason::Shutdown);
}

}  // namespace
}  // namespace gyre
