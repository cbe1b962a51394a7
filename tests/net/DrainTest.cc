// Draining: nobody new, those there are told and come to their own end, or to the deadline's.
#include <sys/socket.h>

#include "support/ServerFixture.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

class DrainTest : public ServerFixture {
 protected:
  void drain(milliseconds limit) {
    server()->drain(limit, [this] { isDone_ = true; });
  }
  bool runUntilDone() {
    return runUntil([this] { return isDone_; });
  }

  // Connections that nobody ends, however long this machine takes.
  static void keep(TcpServer& server) {
    ConnectionOptions options;
    options.timeouts.drainIdle = {};
    server.setConnectionOptions(options);
  }

  bool isDone_ = false;
};

TEST_F(DrainTest, Connections_areServedToTheirEnd) {
  start({.configure = keep});
  std::vector<Peer> peers = connectMany(10);
  drain(std::chrono::seconds(30));
  settle();
  EXPECT_FALSE(isDone_);
  EXPECT_EQ(countEchoed(peers, "still served", pump()), 10U);
  peers.clear();
  ASSERT_TRUE(runUntilDone());
  EXPECT_EQ(count(CallbackKind::Close), 10U);
}

TEST_F(DrainTest, NobodyNewGetsIn) {
  start({.configure = keep});
  Peer old = connect();
  ASSERT_TRUE(runUntilUp(1));
  const InetAddress address = server().address();
  drain(std::chrono::seconds(30));
  settle();
  const UniqueFd late(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(::connect(late.get(), address.sockaddrPtr(), address.length()), 0);
  old.close();
  ASSERT_TRUE(runUntilDone());
}

TEST_F(DrainTest, Callback_tellsEachOnce_andMayEndIt) {
  int told = 0;
  start({.configure = [&](TcpServer& server) {
    server.setDrainCallback([&](const TcpConnectionPtr& connection) {
      ++told;
      connection->send("goodbye");
      connection->shutdown();
    });
  }});
  std::vector<Peer> peers = connectMany(5);
  drain(std::chrono::seconds(30));
  for (Peer& peer : peers) {
    EXPECT_EQ(peer.receiveToEnd(), "goodbye");
    EXPECT_EQ(peer.error(), 0);
    peer.close();
  }
  ASSERT_TRUE(runUntilDone());
  EXPECT_EQ(told, 5);
}

TEST_F(DrainTest, Deadline_closesThoseThatStay) {
  start({.threads = 2, .configure = keep});
  std::vector<Peer> peers = connectMany(10);
  const auto begin = std::chrono::steady_clock::now();
  drain(milliseconds(100));
  ASSERT_TRUE(runUntilDone());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(100));
  EXPECT_EQ(count(CallbackKind::Close), 10U);
  for (Peer& peer : peers) peer.receiveToEnd();
}

TEST_F(DrainTest, Deadline_whileBytesWait_isNoEndOfTheStream) {
  start({.onUp = [](const TcpConnectionPtr& connection) {
    connection->send(std::string(8 * 1024 * 1024, 'x'));
  }});
  std::vector<Peer> peers = connectMany(1);
  drain(milliseconds(20));
  ASSERT_TRUE(runUntilDone());
  peers.front().receiveToEnd();
  EXPECT_EQ(peers.front().error(), ECONNRESET) << "what was cut short has no end";
}

TEST_F(DrainTest, IdleConnections_areClosedOnAllLoops_longBeforeTheDeadline) {
  start({.threads = 2});
  std::vector<Peer> peers = connectMany(10);
  drain(std::chrono::hours(1));
  for (Peer& peer : peers) {
    EXPECT_EQ(peer.receiveToEnd(), "");
    EXPECT_EQ(peer.error(), 0);
  }
  peers.clear();
  ASSERT_TRUE(runUntilDone());
  EXPECT_EQ(count(CallbackKind::Close), 10U);
}

TEST_F(DrainTest, WithoutConnections_isDoneAtOnce) {
  start({.threads = 2});
  drain(std::chrono::hours(1));
  ASSERT_TRUE(runUntilDone());
}

TEST_F(DrainTest, Stop_cutsItShort) {
  start({.configure = keep});
  const std::vector<Peer> peers = connectMany(3);
  drain(std::chrono::hours(1));
  settle();
  EXPECT_FALSE(isDone_);
  server()->stop();
  ASSERT_TRUE(runUntilDone());
}

TEST_F(DrainTest, Destruction_cutsItShort) {
  start({.threads = 2, .configure = keep});
  const std::vector<Peer> peers = connectMany(3);
  drain(std::chrono::hours(1));
  endServer();
  EXPECT_TRUE(isDone_);
}

TEST_F(DrainTest, WithAListenerPerLoop) {
  start({.threads = 2, .configure = [](TcpServer& server) {
           keep(server);
           server.setAcceptMode(AcceptMode::EveryLoop);
         }});
  std::vector<Peer> peers = connectMany(10);
  drain(std::chrono::seconds(30));
  EXPECT_EQ(countEchoed(peers, "still served", pump()), 10U);
  peers.clear();
  ASSERT_TRUE(runUntilDone());
}

}  // namespace
}  // namespace gyre
