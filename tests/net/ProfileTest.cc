// What a connection carries besides bytes: callbacks that can be exchanged, and a context.
#include <memory>
#include <vector>

#include "support/ServerFixture.h"

namespace gyre {
namespace {

class ProfileTest : public ServerFixture {};

TEST_F(ProfileTest, SetProfile_insideAMessage_changesCallbacksAndLimits) {
  RefPtr<ConnectionProfile> upgraded;
  start({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
    connection->send("old:" + in.retrieveAllAsString());
    connection->setProfile(upgraded);
  }});
  std::size_t highWaters = 0;
  upgraded = server()->makeProfile();
  server().fill(*upgraded, {.options = {.highWaterMark = 10},
                            .onMessage =
                                [](const TcpConnectionPtr& connection, Buffer& in) {
                                  connection->send("new:" + in.retrieveAllAsString());
                                },
                            .onHighWater = [&](const auto&, std::size_t) { ++highWaters; }});
  upgraded->name = "upgraded";
  Peer peer = connect();
  for (const char* expected : {"old:ping", "new:ping", "new:ping"}) {
    ASSERT_TRUE(peer.send("ping"));
    EXPECT_EQ(peer.receive(8), expected);
  }
  ASSERT_TRUE(peer.send("a longer ping"));
  EXPECT_EQ(peer.receive(17), "new:a longer ping");
  EXPECT_EQ(highWaters, 1U) << "the new limit";
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(count(CallbackKind::Close), 1U) << "of the new profile";
}

TEST_F(ProfileTest, SetProfile_leavesBytesForTheNextCallback) {
  RefPtr<ConnectionProfile> second;
  std::string got;
  start({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
    EXPECT_EQ(in.retrieveAsString(6), "HELLO\n");
    connection->setProfile(second);
    // What is left is the new protocol's; it is offered when reading starts again.
    connection->stopRead();
    connection->queueInLoop([connection] { connection->startRead(); });
  }});
  second = server()->makeProfile();
  server().fill(*second, {.onMessage = [&](const TcpConnectionPtr&, Buffer& in) {
    got += in.retrieveAllAsString();
  }});
  Peer peer = connect();
  ASSERT_TRUE(peer.send("HELLO\nbinary"));
  EXPECT_TRUE(runUntil([&] { return got == "binary"; }));
}

TEST_F(ProfileTest, SetProfile_aThousandTimes_keepsTheLastOnly) {
  const auto token = std::make_shared<int>(0);
  MessageCallback change;
  change = [&](const TcpConnectionPtr& connection, Buffer& in) {
    connection->send(in);
    for (int i = 0; i < 2; ++i) {
      const RefPtr<ConnectionProfile> next = server()->makeProfile();
      server().fill(*next,
                    {.onMessage = [&change, token](const auto& c, Buffer& b) { change(c, b); }});
      connection->setProfile(next);
    }
  };
  start({.onMessage = change});
  {
    Peer peer = connect();
    for (int i = 0; i < 500; ++i) {
      ASSERT_TRUE(peer.send("x"));
      ASSERT_EQ(peer.receive(1), "x");
    }
    settle();
    EXPECT_LE(token.use_count(), 4) << "of a thousand profiles";
  }
  ASSERT_TRUE(runUntilClosed(1));
  settle();
  EXPECT_EQ(token.use_count(), 1) << "nobody holds a profile";
}

TEST_F(ProfileTest, WithoutAMessageCallback_whatArrivesIsDiscarded) {
  TcpServer bare(&loop(), InetAddress::loopback(0), "bare");
  bare.setThreadNum(0);
  bare.start();
  Peer peer = connectTo(bare.listenAddress());
  EXPECT_TRUE(peer.send(std::string(1'000'000, 'x')));
  ASSERT_TRUE(runUntil([&] { return loop().counters().bytesReceived.get() == 1'000'000; }));
  EXPECT_EQ(bare.connectionCount(), 1U);
}

// --- The user's context

// Tells of its end.
struct Tracked {
  explicit Tracked(std::vector<std::string>& told) : log(&told) {}
  Tracked(const Tracked&) = delete;
  Tracked& operator=(const Tracked&) = delete;
  ~Tracked() { log->push_back("context"); }
  std::vector<std::string>* log;
};

TEST_F(ProfileTest, Context_isDestroyedRightAfterTheCloseCallback) {
  std::vector<std::string> told;
  std::vector<TcpConnectionPtr> kept;
  start({.onUp =
             [&](const TcpConnectionPtr& connection) {
               connection->setContext(std::make_shared<Tracked>(told));
               kept.push_back(connection);
             },
         .onDown = [&](const TcpConnectionPtr&) { told.push_back("down"); },
         .onClose =
             [&](const TcpConnectionPtr& connection) {
               told.push_back("close");
               EXPECT_TRUE(connection->context().has_value());
             }});
  { const std::vector<Peer> peers = connectMany(1); }
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(told, (std::vector<std::string>{"down", "close", "context"}))
      << "although a handle is kept";
}

TEST_F(ProfileTest, Context_isEachConnectionsOwn) {
  start({.onUp = [](const TcpConnectionPtr& connection) { connection->setContext(0); },
         .onMessage =
             [](const TcpConnectionPtr& connection, Buffer& in) {
               in.retrieveAll();
               const int count = ++std::any_cast<int&>(connection->context());
               connection->send(std::to_string(count));
             }});
  std::vector<Peer> peers = connectMany(3);
  for (const char* expected : {"1", "2", "3"}) {
    for (Peer& peer : peers) {
      ASSERT_TRUE(peer.send("?"));
      EXPECT_EQ(peer.receive(1), expected);
    }
  }
}

// Neither copyable nor movable.
struct Session {
  Session(std::string given, std::vector<std::string>& told) : name(std::move(given)), end(told) {}
  Session(const Session&) = delete;

  std::string name;
  Tracked end;
};

TEST_F(ProfileTest, Context_madeInPlace_isFoundByItsTypeUntilTheEnd) {
  std::vector<std::string> told;
  std::vector<TcpConnectionPtr> kept;
  start({.onUp =
             [&](const TcpConnectionPtr& connection) {
               EXPECT_EQ(connection->context<Session>(), nullptr);
               EXPECT_EQ(connection->emplaceContext<Session>("ann", told).name, "ann");
               kept.push_back(connection);
             },
         .onMessage =
             [](const TcpConnectionPtr& connection, Buffer& in) {
               EXPECT_EQ(connection->context<int>(), nullptr) << "another type";
               connection->context<Session>()->name += in.retrieveAllAsString();
               connection->send(connection->context<Session>()->name);
             }});
  {
    std::vector<Peer> peers = connectMany(1);
    ASSERT_TRUE(peers.front().send("a"));
    EXPECT_EQ(peers.front().receive(4), "anna");
  }
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(told, std::vector<std::string>{"context"});
  EXPECT_EQ(kept.front()->context<Session>(), nullptr);
}

}  // namespace
}  // namespace gyre
