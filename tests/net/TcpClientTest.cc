// A client and its connection: connecting, talking, losing it, coming back, and giving up.
#include <unistd.h>

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "gyre/loop/EventLoopThread.h"
#include "support/ClientFixture.h"
#include "support/ConformanceWorld.h"

namespace gyre {
namespace {

using Told = std::vector<std::string>;

class TcpClientTest : public ClientFixture {
 protected:
  // A client of the fixture's server.
  TcpClient& aimAtServer() { return aim(server().address()); }
  // Closes all that the server has.
  static ServerScript closing() {
    return {.onUp = [](const TcpConnectionPtr& connection) { connection->forceClose(); }};
  }
};

TEST_F(TcpClientTest, Connect_somebodyListens_talksBothWays) {
  start();
  aimAtServer().connect();
  EXPECT_EQ(client().state(), ClientState::Connecting);
  EXPECT_EQ(client().connection(), nullptr);
  EXPECT_TRUE(told().empty()) << "never inside the call";
  ASSERT_TRUE(runUntilTold("up"));
  EXPECT_EQ(client().state(), ClientState::Connected);
  const TcpConnectionPtr connection = client().connection();
  EXPECT_EQ(connection->peerAddress(), server().address());
  const std::string text = patternBytes(1 << 20);
  connection->send(text);
  ASSERT_TRUE(runUntil([&] { return received().size() == text.size(); }));
  EXPECT_TRUE(received() == text);
  EXPECT_GE(timesTold("written"), 1U);
  client().disconnect();
  EXPECT_EQ(client().state(), ClientState::Disconnecting);
  ASSERT_TRUE(runUntilTold("close"));
  settle();
  EXPECT_EQ(client().state(), ClientState::Idle);
  EXPECT_EQ(client().connection(), nullptr);
  EXPECT_EQ(connection->closeReason(), CloseReason::Shutdown);
  EXPECT_EQ(timesTold("up"), 1U);
  EXPECT_EQ(timesTold("down"), 1U);
}

TEST_F(TcpClientTest, Connect_toAUnixSocket_talksToo) {
  WatchedServer local(loop(), {});
  local->addListener(InetAddress("unix:@gyre-client-test-" + std::to_string(::getpid())));
  local.start();
  aim(local->listenAddress(1)).connect();
  ASSERT_TRUE(runUntilTold("up"));
  client().connection()->send("hello");
  EXPECT_TRUE(runUntil([&] { return received() == "hello"; }));
  endClient();
}

TEST_F(TcpClientTest, Abort_withAllSent_isAResetForTheServer) {
  int error = 0;
  start({.onClose = [&error](const TcpConnectionPtr& connection) { error = connection->error(); }});
  aimAtServer().connect();
  ASSERT_TRUE(runUntilTold("up"));
  client().connection()->send("half of it");
  ASSERT_TRUE(runUntilTold("message"));
  client().connection()->abort();
  ASSERT_TRUE(runUntilTold("close"));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(error, ECONNRESET);
}

TEST_F(TcpClientTest, Connect_twice_isOneConnection) {
  start();
  aimAtServer().connect();
  client().connect();
  ASSERT_TRUE(runUntilTold("up"));
  client().connect();
  settle();
  EXPECT_EQ(count(CallbackKind::Up), 1U);
}

TEST_F(TcpClientTest, Connect_oneThousandAtOnce_allTalk) {
  start();
  std::size_t answers = 0;
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(std::make_unique<TcpClient>(&loop(), server().address(), "one of many"));
    clients.back()->setConnectionCallback([](const TcpConnectionPtr& connection) {
      if (connection->connected()) connection->send("x");
    });
    clients.back()->setMessageCallback([&](const TcpConnectionPtr&, Buffer& in) {
      answers += in.readableBytes();
      in.retrieveAll();
    });
    clients.back()->connect();
  }
  EXPECT_TRUE(runUntil([&] { return answers == 1000; }));
}

TEST_F(TcpClientTest, Connect_nobodyListensYet_succeedsWhenTheServerHasCome) {
  const InetAddress address = [this] {
    TcpServer early(&loop(), InetAddress::loopback(0), "early");
    early.setThreadNum(0);
    early.start();
    return early.listenAddress();
  }();
  aim(address).connect();
  ASSERT_TRUE(runUntilTold("failed", 3));
  EXPECT_EQ(failures().back().error, std::errc::connection_refused);
  TcpServer late(&loop(), address, "late");
  late.setThreadNum(0);
  late.start();
  EXPECT_TRUE(runUntilTold("up"));
  endClient();
}

// --- Losing the connection

TEST_F(TcpClientTest, LostConnection_isReplacedWhenSaidSo) {
  start(closing());
  aimAtServer().enableRetry();
  client().connect();
  ASSERT_TRUE(runUntilTold("close", 5));
  EXPECT_GE(count(CallbackKind::Up), 5U);
  client().stop();
  runUntil([&] { return client().state() == ClientState::Idle; });
  const std::size_t ups = timesTold("up");
  settle();
  EXPECT_EQ(timesTold("up"), ups) << "no more after stop";
}

TEST_F(TcpClientTest, LostConnection_staysLostWithoutRetry) {
  start(closing());
  aimAtServer().connect();
  ASSERT_TRUE(runUntilTold("close"));
  settle();
  EXPECT_EQ(told(), (Told{"up", "down", "close"}));
  EXPECT_EQ(client().state(), ClientState::Idle);
}

TEST_F(TcpClientTest, LostConnection_ofAnotherProfile_isReplacedToo) {
  start({.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->forceClose();
  }});
  aimAtServer().enableRetry();
  onTold = [&](const std::string& what) {
    if (what != "up") return;
    client().connection()->setProfile(client().makeProfile());
    client().connection()->send("close me");
  };
  client().connect();
  EXPECT_TRUE(runUntilTold("up", 3));
}

// A connection that was lost at once does not bring back the first delay.
TEST_F(TcpClientTest, ServerThatDropsAtOnce_isNotHammered) {
  start(closing());
  ConnectOptions options = quick();
  options.backoff = {.initial = std::chrono::milliseconds(1),
                     .maximum = std::chrono::hours(1),
                     .factor = 1'000'000,
                     .jitter = 0};
  aimAtServer().setConnectOptions(options);
  client().enableRetry();
  client().connect();
  ASSERT_TRUE(runUntilTold("close", 2));
  settle();
  EXPECT_EQ(client().state(), ClientState::Waiting);
  EXPECT_EQ(timesTold("up"), 2U);
}

TEST_F(TcpClientTest, ServerThatRestarts_hasAllItsClientsBack) {
  constexpr std::size_t kClients = 200;
  auto first = std::make_unique<TcpServer>(&loop(), InetAddress::loopback(0), "first");
  first->setThreadNum(0);
  first->start();
  const InetAddress address = first->listenAddress();
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<TcpClient>(&loop(), address, "one of many"));
    clients.back()->setConnectOptions(quick());
    clients.back()->enableRetry();
    clients.back()->connect();
  }
  ASSERT_TRUE(runUntil([&] { return first->connectionCount() == kClients; }));
  first.reset();
  settle();
  EXPECT_NE(clients[0]->state(), ClientState::Connected);
  TcpServer second(&loop(), address, "second");
  second.setThreadNum(0);
  second.start();
  ASSERT_TRUE(runUntil([&] { return second.connectionCount() == kClients; }));
  settle();
  EXPECT_EQ(second.connectionCount(), kClients) << "one each";
}

TEST_F(TcpClientTest, ServerThatResetsAtOnce_isSurvived) {
  ConformanceKernelWorld world(nullptr, {});
  aim(world.acceptingAddress()).enableRetry();
  client().connect();
  const auto resetAll = [&] {
    while (const auto peer = world.takeClient()) peer->reset();
  };
  ASSERT_TRUE(runUntil([&] {
    resetAll();
    return timesTold("close") >= 20;
  }));
  client().stop();
  ASSERT_TRUE(runUntil([&] {
    resetAll();
    return client().connection() == nullptr && client().state() == ClientState::Idle;
  }));
  EXPECT_EQ(timesTold("down"), timesTold("up"));
  EXPECT_EQ(timesTold("close"), timesTold("up"));
}

TEST_F(TcpClientTest, Connect_insideTheCloseCallback_connectsAgain) {
  start(closing());
  onTold = [&](const std::string& what) {
    if (what == "close" && timesTold("close") < 5) client().connect();
  };
  aimAtServer().connect();
  ASSERT_TRUE(runUntilTold("close", 5));
  settle();
  EXPECT_EQ(timesTold("up"), 5U);
}

TEST_F(TcpClientTest, Connect_whileDisconnecting_connectsWhenThatIsDone) {
  start();
  aimAtServer().connect();
  ASSERT_TRUE(runUntilTold("up"));
  client().disconnect();
  client().connect();
  ASSERT_TRUE(runUntilTold("up", 2));
  EXPECT_EQ(told(), (Told{"up", "down", "close", "up"}));
}

// --- Giving up

TEST_F(TcpClientTest, Stop_whileConnecting_tellsNothing) {
  aim(silent()).connect();
  settle();
  EXPECT_EQ(client().state(), ClientState::Connecting);
  client().stop();
  EXPECT_EQ(client().state(), ClientState::Idle);
  settle();
  EXPECT_TRUE(told().empty());
  EXPECT_EQ(loop().residentCount(), 0U) << "the attempt has gone";
}

TEST_F(TcpClientTest, Stop_whileWaiting_andConnectAtOnce) {
  ConnectOptions options = quick();
  options.backoff.initial = options.backoff.maximum = std::chrono::hours(1);
  aim(refusing()).setConnectOptions(options);
  client().connect();
  ASSERT_TRUE(runUntilTold("failed"));
  EXPECT_EQ(client().state(), ClientState::Waiting);
  EXPECT_EQ(failures()[0].retryAfter, std::chrono::hours(1));
  client().connect();
  EXPECT_EQ(client().state(), ClientState::Connecting) << "without waiting";
  ASSERT_TRUE(runUntilTold("failed", 2));
  EXPECT_EQ(failures()[1].round, 1) << "begun anew";
  client().stop();
  EXPECT_EQ(client().state(), ClientState::Idle);
  settle();
  EXPECT_EQ(timesTold("failed"), 2U);
}

TEST_F(TcpClientTest, Stop_whileWaiting_triesNoMore) {
  ConnectOptions options = quick();
  options.backoff.initial = options.backoff.maximum = std::chrono::milliseconds(5);
  aim(refusing()).setConnectOptions(options);
  client().connect();
  ASSERT_TRUE(runUntilTold("failed"));
  client().stop();
  settle();
  EXPECT_EQ(timesTold("failed"), 1U);
}

TEST_F(TcpClientTest, StopOrConnect_insideTheFailedCallback_isObeyed) {
  ConnectOptions options = quick();
  options.backoff.initial = options.backoff.maximum = std::chrono::hours(1);
  aim(refusing()).setConnectOptions(options);
  onTold = [&](const std::string&) {
    if (timesTold("failed") < 4) {
      client().connect();  // without waiting
    } else {
      client().stop();
    }
  };
  client().connect();
  ASSERT_TRUE(runUntilTold("failed", 4));
  settle();
  EXPECT_EQ(timesTold("failed"), 4U);
  EXPECT_EQ(client().state(), ClientState::Idle);
}

TEST_F(TcpClientTest, Stop_whileConnected_leavesTheConnection) {
  start();
  aimAtServer().enableRetry();
  client().connect();
  ASSERT_TRUE(runUntilTold("up"));
  client().stop();
  client().connection()->send("still there");
  ASSERT_TRUE(runUntil([&] { return received() == "still there"; }));
  client().connection()->forceClose();
  ASSERT_TRUE(runUntilTold("close"));
  settle();
  EXPECT_EQ(timesTold("up"), 1U) << "not replaced";
}

TEST_F(TcpClientTest, Disconnect_withUnsentBytes_sendsThemFirst) {
  start();
  aimAtServer().connect();
  ASSERT_TRUE(runUntilTold("up"));
  client().connection()->send(std::string(1 << 20, 'x'));
  client().disconnect();
  ASSERT_TRUE(runUntilTold("close"));
  EXPECT_TRUE(runUntil([&] { return loop().counters().bytesReceived.get() >= 1 << 20; }));
}

// --- Other threads

TEST_F(TcpClientTest, ClientOfAnotherLoop_isUsedFromHere) {
  start();
  EventLoopThread thread({.proactor = testProactorOptions()});
  EventLoop* other = thread.startLoop();
  std::atomic<int> answers{0};
  auto remote = std::make_unique<TcpClient>(other, server().address(), "remote");
  remote->setMessageCallback([&](const TcpConnectionPtr& connection, Buffer& in) {
    EXPECT_TRUE(connection->isInLoopThread());
    in.retrieveAll();
    ++answers;
  });
  remote->connect();
  ASSERT_TRUE(runUntil([&] { return remote->connection() != nullptr; }));
  remote->connection()->send("hello");
  ASSERT_TRUE(runUntil([&] { return answers > 0; }));
  remote->disconnect();
  ASSERT_TRUE(runUntilClosed(1));
  for (int i = 0; i < 100; ++i) {
    remote->connect();
    remote->stop();
  }
  // What was posted may come after its end.
  std::promise<void> ended;
  other->queueInLoop([&] {
    remote.reset();
    ended.set_value();
  });
  ended.get_future().wait();
  settle();
}

TEST_F(TcpClientTest, Destruction_onAnotherThread_isABrokenPromise) {
  EXPECT_DEATH(
      {
        EventLoopThread thread({.proactor = testProactorOptions()});
        TcpClient(thread.startLoop(), InetAddress::loopback(1), "misplaced");
      },
      "called on another thread");
}

}  // namespace
}  // namespace gyre
