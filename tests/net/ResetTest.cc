// A peer that resets the connection, at every moment: it is noticed, told once, and cleaned up.
#include <cerrno>
#include <memory>
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

class ResetTest : public ServerFixture {
 protected:
  // The callbacks that note how the last connection ended.
  ServerScript noting(ServerScript script) {
    script.onClose = [this](const TcpConnectionPtr& connection) {
      reason_ = connection->closeReason();
      error_ = connection->error();
      peerAddress_ = connection->peerAddress();
    };
    return script;
  }
  void expectReset() {
    ASSERT_TRUE(runUntilClosed(1));
    settle();
    EXPECT_EQ(reason_, CloseReason::Error);
    EXPECT_TRUE(error_ == ECONNRESET || error_ == EPIPE) << error_;
    EXPECT_EQ(loop().residentCount(), 1U) << "the acceptor alone";
    EXPECT_TRUE(echoes()) << "the others are not affected";
  }
  // What has arrived is less than the whole, and the peer can tell.
  static void expectCutShort(Peer& peer, std::size_t whole) {
    EXPECT_LT(peer.receiveToEnd().size(), whole);
    EXPECT_FALSE(peer.hasEnded()) << "taken for the whole";
    EXPECT_EQ(peer.error(), ECONNRESET);
  }

  CloseReason reason_ = CloseReason::None;
  int error_ = 0;
  InetAddress peerAddress_;
};

TEST_F(ResetTest, Reset_whileIdle_closesOnce) {
  start(noting({}));
  connectMany(1).front().reset();
  expectReset();
}

TEST_F(ResetTest, Reset_whileWeSend_closesOnceAfterTheSendHasEnded) {
  const auto bytes = std::make_shared<const std::string>(patternBytes(8 * kMiB));
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) {
    if (connection->id() == 1) connection->send(bytes);
  }}));
  std::vector<Peer> peers = connectMany(1);
  EXPECT_EQ(peers.front().receive(100'000), bytes->substr(0, 100'000));
  settle();
  EXPECT_GT(bytes.use_count(), 1) << "most of it waits";
  peers.front().reset();
  expectReset();
  EXPECT_EQ(bytes.use_count(), 1) << "the kernel has let go of it";
  EXPECT_LE(count(CallbackKind::WriteComplete), 1U) << "of the echo at most";
}

TEST_F(ResetTest, Reset_whileWeReceive_closesOnceAfterWhatHadCome) {
  std::string got;
  start(noting({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
    if (connection->id() != 1) return connection->send(in);
    got += in.retrieveAllAsString();
  }}));
  std::vector<Peer> peers = connectMany(1);
  const std::string half = patternBytes(300'000);
  ASSERT_TRUE(peers.front().send(half));
  ASSERT_TRUE(runUntil([&] { return got.size() == half.size(); }));
  peers.front().sendSome("taken or lost with the reset");
  peers.front().reset();
  expectReset();
  EXPECT_EQ(got.substr(0, half.size()), half);
}

TEST_F(ResetTest, Reset_whilePaused_isNoticedWithoutReading) {
  start(noting({.onUp = [](const TcpConnectionPtr& connection) {
    if (connection->id() == 1) connection->stopRead();
  }}));
  std::vector<Peer> peers = connectMany(1);
  ASSERT_TRUE(peers.front().send("never read"));
  settle();
  peers.front().reset();
  expectReset();
}

TEST_F(ResetTest, Reset_afterTheEndOfInput_isNoticedWithoutReading) {
  start(noting({.onHalfClose = [](const TcpConnectionPtr& connection) {
    if (connection->id() != 1) connection->shutdown();
  }}));
  std::vector<Peer> peers = connectMany(1);
  peers.front().halfClose();
  ASSERT_TRUE(runUntil([&] { return count(CallbackKind::HalfClose) == 1; }));
  settle();
  EXPECT_EQ(watch().openCount(), 1U) << "the user decides when to close";
  peers.front().reset();
  expectReset();
}

TEST_F(ResetTest, Reset_whileOurLastBytesWait_closesOnce) {
  start(noting({.onUp = [](const TcpConnectionPtr& connection) {
    if (connection->id() != 1) return;
    connection->send(patternBytes(8 * kMiB));
    connection->shutdown();
  }}));
  std::vector<Peer> peers = connectMany(1);
  settle();
  peers.front().reset();
  expectReset();
}

TEST_F(ResetTest, Reset_whileWeWaitForThePeersFin_closesOnce) {
  start(noting({.onUp = [](const TcpConnectionPtr& connection) {
    if (connection->id() == 1) connection->shutdown();
  }}));
  std::vector<Peer> peers = connectMany(1);
  EXPECT_EQ(peers.front().receiveToEnd(), "");
  peers.front().reset();
  expectReset();
}

TEST_F(ResetTest, Reset_beforeItIsAccepted_harmsNothing) {
  start({.threads = 2});
  for (int i = 0; i < 50; ++i) connect().reset();
  EXPECT_TRUE(echoes());
  ASSERT_TRUE(runUntil([&] { return watch().openCount() == 0; }));
  EXPECT_EQ(loop().counters().accepts.get() + loop().counters().acceptsAborted.get(), 51U);
}

TEST_F(ResetTest, Addresses_areTrueAlsoAfterAReset) {
  TcpConnectionPtr kept;
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) {
    if (connection->id() == 1) kept = connection;
  }}));
  std::vector<Peer> peers = connectMany(1);
  const InetAddress address = peers.front().address();
  EXPECT_EQ(kept->peerAddress(), address);
  EXPECT_EQ(kept->localAddress(), server().address());
  peers.front().reset();
  expectReset();
  EXPECT_EQ(peerAddress_, address) << "in the close callback";
  EXPECT_EQ(kept->peerAddress(), address) << "after it";
  EXPECT_EQ(kept->localAddress(), server().address());
}

TEST_F(ResetTest, Addresses_ofIPv6_areTrue) {
  std::vector<TcpConnectionPtr> kept;
  WatchedServer server(
      loop(), {.onUp = [&](const TcpConnectionPtr& connection) { kept.push_back(connection); }});
  server->addListener(InetAddress::loopbackV6(0));
  server.start();
  const Peer peer = connectTo(server->listenAddress(1));
  ASSERT_TRUE(runUntil([&] { return kept.size() == 1; }));
  EXPECT_EQ(kept.front()->peerAddress(), peer.address());
  EXPECT_EQ(kept.front()->localAddress(), server->listenAddress(1));
}

TEST_F(ResetTest, LocalAddress_ofAListenerOnAllAddresses_isTheOneThatTheClientMeant) {
  std::vector<TcpConnectionPtr> kept;
  WatchedServer server(
      loop(), {.onUp = [&](const TcpConnectionPtr& connection) { kept.push_back(connection); }});
  server->addListener(InetAddress::any(0));
  server.start();
  const std::string port = ":" + std::to_string(server->listenAddress(1).port());
  const Peer first = connectTo(InetAddress("127.0.0.1" + port));
  const Peer second = connectTo(InetAddress("127.0.0.2" + port));
  ASSERT_TRUE(runUntil([&] { return kept.size() == 2; }));
  EXPECT_EQ(kept[0]->localAddress(), InetAddress("127.0.0.1" + port));
  EXPECT_EQ(kept[1]->localAddress(), InetAddress("127.0.0.2" + port));
}

TEST_F(ResetTest, ForceClose_withSendsInFlight_joinsThemAndClosesOnce) {
  const auto bytes = std::make_shared<const std::string>(patternBytes(8 * kMiB));
  TcpConnectionPtr kept;
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) {
    if (connection->id() != 1) return;
    kept = connection;
    connection->send(bytes);
  }}));
  std::vector<Peer> peers = connectMany(1);
  settle();
  kept->forceClose();
  kept->forceClose();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Aborted);
  EXPECT_EQ(bytes.use_count(), 1);
  EXPECT_TRUE(kept->disconnected());
  expectCutShort(peers.front(), bytes->size());
  EXPECT_TRUE(echoes());
}

// The peer has read all that came and reads on: nothing but the reset stands for the rest.
TEST_F(ResetTest, ForceClose_withBytesUnsent_isNoEndOfTheStream) {
  TcpConnectionPtr kept;
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) {
    if (connection->id() == 1) kept = connection;
  }}));
  std::vector<Peer> peers = connectMany(1);
  loop().queueInLoop([&] {
    kept->send("a part of");
    kept->forceClose();
  });
  ASSERT_TRUE(runUntilClosed(1));
  expectCutShort(peers.front(), 9);
}

TEST_F(ResetTest, ForceClose_withNothingUnsent_isTheEndOfTheStream) {
  TcpConnectionPtr kept;
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) {
    if (connection->id() != 1) return;
    kept = connection;
    connection->send("the whole");
  }}));
  std::vector<Peer> peers = connectMany(1);
  EXPECT_EQ(peers.front().receive(9), "the whole");
  ASSERT_TRUE(runUntil([&] { return kept->outputBytes() == 0; }));
  kept->forceClose();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(peers.front().receiveToEnd(), "");
  EXPECT_TRUE(peers.front().hasEnded());
}

TEST_F(ResetTest, Stop_withBytesUnsent_isNoEndOfTheStream) {
  const std::string bytes = patternBytes(8 * kMiB);
  start(noting({.onUp = [&](const TcpConnectionPtr& connection) { connection->send(bytes); }}));
  std::vector<Peer> peers = connectMany(3);
  settle();
  server()->stop();
  ASSERT_TRUE(runUntilClosed(3));
  for (Peer& peer : peers) expectCutShort(peer, bytes.size());
}

}  // namespace
}  // namespace gyre
