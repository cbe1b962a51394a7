// The end of a client in each of its states, and inside each of its callbacks: nothing is told any
// more, nothing stays behind (the fixture counts descriptors, the address sanitizer memory).
#include <cerrno>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/ClientFixture.h"

namespace gyre {
namespace {

class ClientEndTest : public ClientFixture {
 protected:
  // Ends the client here; silence afterwards, and an empty loop but for `residents` of others.
  void endAndExpectSilence(std::size_t residents) {
    const std::size_t before = told().size();
    endClient();
    EXPECT_TRUE(runUntil([&] { return loop().residentCount() == residents; }));
    settle();
    EXPECT_EQ(told().size(), before);
  }
  void connectAndWait(ServerScript script = {}) {
    start(std::move(script));
    aim(server().address()).connect();
    ASSERT_TRUE(runUntilTold("up"));
    ASSERT_TRUE(runUntilUp(1));
  }
};

TEST_F(ClientEndTest, Idle) {
  aim(refusing());
  endAndExpectSilence(0);
}

TEST_F(ClientEndTest, ConnectingJustNow) {
  aim(silent()).connect();
  endAndExpectSilence(0);
}

TEST_F(ClientEndTest, ConnectingUnderWay) {
  aim(silent()).connect();
  settle();
  ASSERT_EQ(client().state(), ClientState::Connecting);
  endAndExpectSilence(0);
}

TEST_F(ClientEndTest, ConnectedButNotYetTold) {
  start();
  aim(server().address()).connect();
  endClient();
  settle();
  EXPECT_TRUE(told().empty());
  EXPECT_EQ(loop().residentCount(), 1U) << "the acceptor alone";
}

TEST_F(ClientEndTest, FailedButNotYetTold) {
  ConnectOptions options = quick();
  options.prepareSocket = [](SocketHandle) { return ENETDOWN; };
  aim(refusing()).setConnectOptions(options);
  client().connect();
  endAndExpectSilence(0);
}

TEST_F(ClientEndTest, WaitingToRetry) {
  ConnectOptions options = quick();
  options.backoff.initial = options.backoff.maximum = std::chrono::milliseconds(5);
  aim(refusing()).setConnectOptions(options);
  client().connect();
  ASSERT_TRUE(runUntilTold("failed"));
  ASSERT_EQ(client().state(), ClientState::Waiting);
  endAndExpectSilence(0);
}

TEST_F(ClientEndTest, Connected) {
  connectAndWait();
  const TcpConnectionPtr kept = client().connection();
  kept->send("on its way");
  endAndExpectSilence(1);
  EXPECT_TRUE(kept->disconnected());
  EXPECT_EQ(kept->closeReason(), CloseReason::Aborted);
}

TEST_F(ClientEndTest, ConnectedWithBytesUnsent) {
  connectAndWait({.options = {.readOnEstablish = false}});
  client().connection()->send(std::string(32 << 20, 'x'));
  settle();
  endAndExpectSilence(2);
}

TEST_F(ClientEndTest, Disconnecting) {
  connectAndWait({.onHalfClose = [](const TcpConnectionPtr&) {}});  // the server never closes
  client().disconnect();
  settle();
  ASSERT_EQ(client().state(), ClientState::Disconnecting);
  endAndExpectSilence(2);
}

TEST_F(ClientEndTest, LostButNotYetReplaced) {
  start();
  aim(server().address()).enableRetry();
  client().connect();
  ASSERT_TRUE(runUntilTold("up"));
  client().connection()->forceClose();
  ASSERT_TRUE(runUntilTold("close"));
  endAndExpectSilence(1);
}

TEST_F(ClientEndTest, InsideEachCallback_tellsNothingMore) {
  for (const char* where : {"up", "message", "written", "down", "close"}) {
    SCOPED_TRACE(where);
    start();
    const std::size_t before = timesTold(where);
    std::size_t toldAtEnd = 0;
    onTold = [&](const std::string& what) {
      if (!hasClient()) return;
      if (what == where) {
        endClient();
        toldAtEnd = told().size();
      } else if (what == "up") {
        client().connection()->send("hello");
      } else if (what == "message") {
        client().disconnect();
      }
    };
    aim(server().address()).connect();
    ASSERT_TRUE(runUntilTold(where, before + 1));
    ASSERT_TRUE(runUntil([&] { return loop().residentCount() == 1; }));
    settle();
    EXPECT_FALSE(hasClient());
    EXPECT_EQ(told().size(), toldAtEnd);
    endServer();
  }
}

TEST_F(ClientEndTest, InsideTheFailedCallback_tellsNothingMore) {
  onTold = [&](const std::string&) { endClient(); };
  aim(refusing()).connect();
  ASSERT_TRUE(runUntilTold("failed"));
  settle();
  EXPECT_EQ(told().size(), 1U);
  EXPECT_EQ(loop().residentCount(), 0U);
}

// Any calls in any order, and an end at any moment. GYRE_TEST_SEED replays a run.
TEST_F(ClientEndTest, AnyCallsInAnyOrder_leaveNothingBehind) {
  const char* text = std::getenv("GYRE_TEST_SEED");
  const std::uint64_t seed =
      text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  SCOPED_TRACE("GYRE_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  start();
  const std::vector<InetAddress> targets = {server().address(), refusing(), silent()};
  ConnectOptions options = quick();
  options.timeout = std::chrono::milliseconds(3);
  const auto call = [&] {
    if (!hasClient()) return;
    switch (random() % 8) {
      case 0: return endClient();
      case 1: return client().stop();
      case 2: return client().disconnect();
      case 3: return client().enableRetry();
      case 4:
        if (const TcpConnectionPtr connection = client().connection()) connection->forceClose();
        return;
      case 5:
        if (const TcpConnectionPtr connection = client().connection()) connection->send("hello");
        return;
      default: return client().connect();
    }
  };
  onTold = [&](const std::string&) {
    if (random() % 3 == 0) call();
  };
  for (int i = 0; i < 3000; ++i) {
    if (!hasClient()) aim(targets[random() % targets.size()]).setConnectOptions(options);
    call();
    if (random() % 2 == 0) loop().runOnce(kNoWait);
  }
  endAndExpectSilence(1);
  EXPECT_EQ(loop().counters().callbackFailures.get(), 0U);
}

TEST_F(ClientEndTest, CallbackThatThrows_closesTheConnectionAndIsReplaced) {
  start();
  onTold = [&](const std::string& what) {
    if (what == "up" && timesTold("up") < 3) throw std::runtime_error("thrown on purpose");
  };
  aim(server().address()).enableRetry();
  client().connect();
  ASSERT_TRUE(runUntilTold("up", 3));
  EXPECT_EQ(loop().counters().callbackFailures.get(), 2U);
}

TEST_F(ClientEndTest, FailedCallbackThatThrows_isCountedAndTheClientGoesOn) {
  onTold = [&](const std::string&) { throw std::runtime_error("thrown on purpose"); };
  aim(refusing()).connect();
  ASSERT_TRUE(runUntilTold("failed", 3));
  EXPECT_GE(loop().counters().callbackFailures.get(), 2U);
}

}  // namespace
}  // namespace gyre
