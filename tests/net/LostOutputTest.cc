// Bytes that were to be sent and are not end the stream with RST, whoever dropped them: a peer that
// reads the end of the stream has got all.
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "net/AllocationCounter.h"
#include "support/ConformanceWorld.h"
#include "support/NotingFixture.h"
#include "support/Sanitizers.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

class LostOutputTest : public NotingFixture {
 protected:
  static void expectReset(Peer& peer) {
    peer.receiveToEnd();
    EXPECT_FALSE(peer.hasEnded()) << "a part was taken for the whole";
    EXPECT_EQ(peer.error(), ECONNRESET);
  }
};

// Closed by another connection, and the user does not know it yet.
TEST_F(LostOutputTest, Send_betweenARequestToAbortAndItsExecution_isCutShort) {
  start(noting({.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->forceCloseWith(EPROTO);
    connection->send("the rest of the answer");
  }}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("question"));
  expectReset(peer);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Error);
  EXPECT_EQ(error_, EPROTO) << "what was asked for first is why it closes";
}

TEST_F(LostOutputTest, ForceClose_withNothingLost_isAnEnd) {
  start(noting({.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->forceClose();
  }}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("question"));
  EXPECT_EQ(peer.receiveToEnd(), "");
  EXPECT_TRUE(peer.hasEnded());
}

// The peer has half-closed, and so the connection ends once its answer is sent; what the user sends
// meanwhile goes nowhere.
TEST_F(LostOutputTest, Send_whileThePeersEndIsAnswered_isCutShort) {
  const auto answer = std::make_shared<const std::string>(patternBytes(16 * kMiB));
  start(noting({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->send(answer);
  }}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("question"));
  peer.halfClose();
  ASSERT_TRUE(runUntil([&] { return connection_ && !connection_->connected(); }));
  connection_->send("and this");
  EXPECT_LT(peer.receiveToEnd().size(), answer->size() + 8);
  EXPECT_EQ(peer.error(), ECONNRESET);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::PeerClosed);
  EXPECT_EQ(error_, EPIPE);
}

// Not so after an end that the user has declared.
TEST_F(LostOutputTest, Send_afterShutdown_isNoPartOfTheStream) {
  const auto answer = std::make_shared<const std::string>(patternBytes(16 * kMiB));
  start(noting({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->send(answer);
    connection->shutdown();
    connection->send("and this");
  }}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("question"));
  EXPECT_TRUE(peer.receiveToEnd() == *answer);
  EXPECT_TRUE(peer.hasEnded());
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Shutdown);
  EXPECT_EQ(error_, 0);
}

#ifndef GYRE_TEST_SANITIZED

// Memory is out while another thread sends: that thread is told, and no FIN hides the gap.
TEST_F(LostOutputTest, Send_onAnotherThread_withoutMemory_throwsAndIsCutShort) {
  start(noting({}));
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  connection_->send("first, ");
  ASSERT_EQ(peer.receive(7), "first, ");
  bool hasThrown = false;
  std::thread sender([&] {
    const auto second = std::make_shared<const std::string>("second, ");
    refuseAllocation(0);
    try {
      connection_->send(second);
    } catch (const std::bad_alloc&) {
      hasThrown = true;
    }
  });
  sender.join();
  ASSERT_TRUE(hasThrown);
  connection_->shutdown();
  expectReset(peer);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::OutOfMemory);
}

TEST_F(LostOutputTest, Send_onAnotherThread_afterALostOne_isNotSentBehindTheGap) {
  start(noting({}));
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  std::thread sender([&] {
    const auto lost = std::make_shared<const std::string>("second, ");
    refuseAllocation(0);
    EXPECT_THROW(connection_->send(lost), std::bad_alloc);
    connection_->send("third");
  });
  sender.join();
  EXPECT_EQ(peer.receiveToEnd(), "");
  EXPECT_EQ(peer.error(), ECONNRESET);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::OutOfMemory);
}

#endif

// --- abort()

TEST_F(LostOutputTest, Abort_withNothingQueued_resets) {
  start(noting({.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->abort();
    EXPECT_FALSE(connection->isReading());
  }}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("question"));
  expectReset(peer);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Aborted);
  EXPECT_EQ(error_, 0);
}

TEST_F(LostOutputTest, Abort_onAnotherThread_resets) {
  start(noting({.threads = 2}));
  std::vector<Peer> peers = connectMany(1);
  std::thread([this] { connection_->abort(); }).join();
  expectReset(peers.front());
  ASSERT_TRUE(runUntilClosed(1));
}

TEST_F(LostOutputTest, Abort_whileTheAnswerIsFlushed_resets) {
  start(noting({.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->send(std::string(16 * kMiB, 'x'));
    connection->shutdown();
  }}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("question"));
  EXPECT_EQ(peer.receive(4), "xxxx");
  connection_->abort();
  expectReset(peer);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Aborted);
}

TEST_F(LostOutputTest, Abort_whileWeLinger_endsIt) {
  start(noting({.onUp = [](const TcpConnectionPtr& connection) { connection->shutdown(); }}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "");
  ASSERT_TRUE(peer.hasEnded());
  EXPECT_FALSE(connection_->disconnected()) << "it waits for our FIN";
  connection_->abort();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Aborted);
}

// There is no RST on a unix socket.
TEST_F(LostOutputTest, Abort_onAUnixSocket_isAnEnd) {
  const InetAddress address("unix:@gyre-abort-" + std::to_string(::getpid()));
  start(noting({.onMessage =
                    [](const TcpConnectionPtr& connection, Buffer& in) {
                      in.retrieveAll();
                      connection->abort();
                    },
                .configure = [&](TcpServer& server) { server.addListener(address, {}); }}));
  Peer peer = connectTo(address);
  ASSERT_TRUE(peer.send("question"));
  EXPECT_EQ(peer.receiveToEnd(), "");
  EXPECT_TRUE(peer.hasEnded());
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Aborted);
}

}  // namespace
}  // namespace gyre
