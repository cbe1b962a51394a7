// How servers end: by stop() or by destruction, with live connections, beside other servers, and
// with handles that outlive everything.
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

class ServerEndTest : public ServerFixture {
 protected:
  // Every call that a handle offers.
  static void callEverything(const TcpConnectionPtr& connection) {
    Buffer buffer;
    buffer.append("never sent");
    connection->send("never sent");
    connection->send(std::string(100'000, 'x'));
    connection->send(std::make_shared<const std::string>("never sent"));
    connection->send(buffer);
    connection->shutdown();
    connection->shutdownWrite();
    connection->forceClose();
    connection->startRead();
    connection->stopRead();
    EXPECT_FALSE(connection->queueInLoop([] { ADD_FAILURE() << "ran after the end"; }));
    EXPECT_FALSE(connection->connected());
    EXPECT_TRUE(connection->disconnected());
    EXPECT_FALSE(connection->isInLoopThread());
    EXPECT_EQ(connection->outputBytes(), 0U);
    EXPECT_EQ(connection->inputBytes(), 0U);
    EXPECT_NE(connection->id(), 0U);
    EXPECT_NE(connection->peerAddress().port(), 0);
  }
};

TEST_F(ServerEndTest, Destruction_with1000ConnectionsMidTransfer_closesEachOnce) {
  std::mutex mutex;
  std::vector<std::weak_ptr<TcpConnection>> all;
  start({.threads = 2, .onUp = [&](const TcpConnectionPtr& connection) {
           connection->send(std::string(300'000, 'x'));
           const std::lock_guard lock(mutex);
           all.push_back(connection);
         }});
  std::vector<Peer> peers = connectMany(1000);
  const std::string text = patternBytes(64 * 1024);
  for (Peer& peer : peers) peer.sendSome(text);
  endServer();  // expects that each was closed, once
  ASSERT_EQ(all.size(), 1000U);
  for (const auto& connection : all) EXPECT_TRUE(connection.expired());
}

TEST_F(ServerEndTest, Destruction_ofAServerThatNeverStarted_isNothing) {
  WatchedServer server(loop(), {.threads = 2});
}

TEST_F(ServerEndTest, Start_onAPortThatIsTaken_throwsAndLeavesNothing) {
  start();
  TcpServer second(&loop(), server().address(), "second");
  second.setThreadNum(2);
  try {
    second.start();
    ADD_FAILURE() << "two servers on one port";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EADDRINUSE);
    EXPECT_NE(std::string(error.what()).find(server().address().toString()), std::string::npos)
        << error.what();
  }
  EXPECT_TRUE(echoes());
}

TEST_F(ServerEndTest, Stop_withLiveConnections_tellsWhenAllAreClosed) {
  start({.threads = 2});
  std::vector<Peer> peers = connectMany(100);
  std::size_t openThen = 1000;
  std::thread::id thread;
  server()->stop([&] {
    openThen = watch().openCount();
    thread = std::this_thread::get_id();
  });
  ASSERT_TRUE(runUntil([&] { return openThen != 1000; }));
  EXPECT_EQ(openThen, 0U);
  EXPECT_EQ(thread, std::this_thread::get_id()) << "on the base loop";
  EXPECT_EQ(server()->connectionCount(), 0U);
  for (Peer& peer : peers) EXPECT_EQ(peer.receiveToEnd(), "");
}

TEST_F(ServerEndTest, Stop_withoutConnections_tellsToo) {
  start();
  bool isStopped = false;
  server()->stop([&] { isStopped = true; });
  ASSERT_TRUE(runUntil([&] { return isStopped; }));
}

TEST_F(ServerEndTest, Stop_again_onlyAddsAnotherDone) {
  start();
  const std::vector<Peer> peers = connectMany(10);
  int told = 0;
  for (int i = 0; i < 3; ++i) server()->stop([&] { ++told; });
  server()->stop();
  ASSERT_TRUE(runUntil([&] { return told == 3; }));
  server()->stop([&] { ++told; });
  ASSERT_TRUE(runUntil([&] { return told == 4; }));
}

TEST_F(ServerEndTest, Stop_refusesNewClients) {
  start();
  bool isStopped = false;
  const InetAddress address = server().address();
  server()->stop([&] { isStopped = true; });
  ASSERT_TRUE(runUntil([&] { return isStopped; }));
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(::connect(fd.get(), address.sockaddrPtr(), address.length()), 0);
  EXPECT_EQ(errno, ECONNREFUSED);
}

TEST_F(ServerEndTest, Stop_fromInsideEachCallback_works) {
  for (const int threads : {0, 2}) {
    for (const CallbackKind kind : {CallbackKind::Up, CallbackKind::Message, CallbackKind::Close}) {
      SCOPED_TRACE(std::string(nameOf(kind)) + " with threads: " + std::to_string(threads));
      std::atomic<int> told{0};
      const auto stopAt = [&, kind](CallbackKind here) {
        if (here == kind) server()->stop([&] { ++told; });
      };
      start({.threads = threads,
             .onUp = [=](const auto&) { stopAt(CallbackKind::Up); },
             .onMessage =
                 [=](const auto& connection, Buffer& in) {
                   stopAt(CallbackKind::Message);
                   connection->send(in);
                 },
             .onClose = [=](const auto&) { stopAt(CallbackKind::Close); }});
      Peer peer = connect();
      peer.send("hello");
      if (kind == CallbackKind::Close) peer.close();
      ASSERT_TRUE(runUntil([&] { return told != 0; }));
      EXPECT_EQ(watch().openCount(), 0U);
      peer.close();
      endServer();
    }
  }
}

TEST_F(ServerEndTest, Stop_whoseDoneDestroysTheServer_works) {
  start({.threads = 1});
  const std::vector<Peer> peers = connectMany(10);
  bool isGone = false;
  server()->stop([&] {
    server().end();
    isGone = true;
  });
  EXPECT_TRUE(runUntil([&] { return isGone; }));
}

TEST_F(ServerEndTest, Stop_byAnotherThreadJustBeforeTheDestruction_tellsAllTheSame) {
  int told = 0;
  for (const bool isStarted : {false, true}) {
    auto server = std::make_unique<TcpServer>(&loop(), InetAddress::loopback(0), "brief");
    server->setThreadNum(0);
    if (isStarted) {
      bool isStopped = false;
      server->start();
      server->stop([&] { isStopped = true; });
      ASSERT_TRUE(runUntil([&] { return isStopped; }));
    }
    std::thread([&] {
      server->stop([&] { ++told; });
      server->drain(std::chrono::seconds(1), [&] { ++told; });
    }).join();
    server.reset();
  }
  EXPECT_TRUE(runUntil([&] { return told == 4; }));
}

TEST_F(ServerEndTest, Destruction_insideAnIoCallback_namesTheMistake) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        start({.onMessage = [this](const TcpConnectionPtr&, Buffer&) { server().end(); }});
        Peer peer = connect();
        peer.send("go");
        settle();
      },
      "use stop\\(\\) there");
}

// --- Handles that are kept

TEST_F(ServerEndTest, HandlesKeptAfterTheLoop_doNothing) {
  std::mutex mutex;
  std::vector<TcpConnectionPtr> kept;
  start({.threads = 1, .onUp = [&](const TcpConnectionPtr& connection) {
           connection->setContext(std::string("mine"));
           const std::lock_guard lock(mutex);
           kept.push_back(connection);
         }});
  { const std::vector<Peer> peers = connectMany(10); }
  endServer();
  endLoop();
  for (const TcpConnectionPtr& connection : kept) callEverything(connection);
  std::thread([&] {
    for (const TcpConnectionPtr& connection : kept) callEverything(connection);
    kept.clear();
  }).join();
}

TEST_F(ServerEndTest, HandlesKeptByALiveLoop_doNothingOnceClosed) {
  std::vector<TcpConnectionPtr> kept;
  start({.onUp = [&](const TcpConnectionPtr& connection) { kept.push_back(connection); }});
  { const std::vector<Peer> peers = connectMany(10); }
  ASSERT_TRUE(runUntilClosed(10));
  for (const TcpConnectionPtr& connection : kept) {
    connection->send("never sent");
    connection->shutdown();
    connection->forceClose();
    connection->startRead();
    connection->setTcpNoDelay(true);
  }
  settle();
  EXPECT_TRUE(echoes());
}

// --- Several servers

TEST_F(ServerEndTest, TwoServersOnOneLoop_oneEndsTheOtherLives) {
  start();
  auto second = std::make_unique<WatchedServer>(loop(), ServerScript{});
  second->start();
  std::vector<Peer> peers = connectMany(20);
  std::vector<Peer> others;
  for (int i = 0; i < 20; ++i) others.push_back(connectTo(second->address()));
  EXPECT_EQ(countEchoed(peers, patternBytes(10'000), pump()), 20U);
  EXPECT_EQ(countEchoed(others, patternBytes(10'000), pump()), 20U);
  second.reset();
  for (Peer& other : others) EXPECT_EQ(other.receiveToEnd(), "");
  EXPECT_EQ(watch().openCount(), 20U);
  EXPECT_EQ(countEchoed(peers, patternBytes(10'000), pump()), 20U);
}

TEST_F(ServerEndTest, OneHandlerOnTwoServers_servesBoth) {
  int messages = 0;
  const MessageCallback handler = [&](const TcpConnectionPtr& connection, Buffer& in) {
    ++messages;
    connection->send(in);
  };
  start({.onMessage = handler});
  WatchedServer second(loop(), {.onMessage = handler});
  second.start();
  EXPECT_TRUE(echoes());
  Peer peer = connectTo(second.address());
  ASSERT_TRUE(peer.send("and here"));
  EXPECT_EQ(peer.receive(8), "and here");
  EXPECT_EQ(messages, 2);
}

}  // namespace
}  // namespace gyre
