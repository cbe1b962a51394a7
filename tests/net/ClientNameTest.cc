// Clients that are given a name instead of an address.
#include <memory>
#include <optional>
#include <string>

#include "support/ClientFixture.h"
#include "support/FakeDnsServer.h"

namespace gyre {
namespace {

class ClientNameTest : public ClientFixture {
 protected:
  void SetUp() override {
    ClientFixture::SetUp();
    if (IsSkipped()) return;
    dns_.emplace();
    ResolverOptions options;
    options.servers = {dns_->address()};
    resolver_.emplace(&loop(), options);
  }
  void TearDown() override {
    endClient();
    resolver_.reset();
    dns_.reset();
    ClientFixture::TearDown();
  }

  FakeDnsServer& dns() { return *dns_; }
  TcpClient& aimAtName(const std::string& name) {
    const std::uint16_t port = server().address().port();
    return watch(std::make_unique<TcpClient>(&loop(), &*resolver_, HostPort{name, port}, "named"));
  }
  bool serveUntilTold(const std::string& what, std::size_t times = 1) {
    return runUntil([&] {
      dns_->serve();
      return timesTold(what) >= times;
    });
  }

 private:
  std::optional<FakeDnsServer> dns_;
  std::optional<Resolver> resolver_;
};

TEST_F(ClientNameTest, Connect_byName_talks) {
  start();
  dns().answer("server.test", {.ipv4 = {"127.0.0.1"}});
  aimAtName("server.test").connect();
  EXPECT_EQ(client().state(), ClientState::Resolving);
  ASSERT_TRUE(serveUntilTold("up"));
  client().connection()->send("hello");
  EXPECT_TRUE(runUntil([&] { return received() == "hello"; }));
}

// The server listens on 127.0.0.1 alone, so that the other addresses refuse.
TEST_F(ClientNameTest, Connect_ofSeveralAddresses_triesAll) {
  start();
  dns().answer("server.test", {.ipv4 = {"127.0.0.2", "127.0.0.1", "127.0.0.3"}});
  aimAtName("server.test").connect();
  ASSERT_TRUE(serveUntilTold("up"));
  for (const ConnectFailure& failure : failures()) {
    EXPECT_EQ(failure.retryAfter, std::chrono::milliseconds::zero());
    EXPECT_EQ(failure.round, 1);
  }
  EXPECT_LT(failures().size(), 3U);
}

TEST_F(ClientNameTest, Connect_allRefuse_beginsAnotherRoundAndAsksAgain) {
  start();
  dns().answer("server.test", {.ipv4 = {"127.0.0.2", "127.0.0.3"}});
  aimAtName("server.test").connect();
  ASSERT_TRUE(serveUntilTold("failed", 2));
  EXPECT_EQ(failures()[0].retryAfter, std::chrono::milliseconds::zero());
  EXPECT_GT(failures()[1].retryAfter, std::chrono::milliseconds::zero());
  // It has moved.
  dns().answer("server.test", {.ipv4 = {"127.0.0.1"}});
  EXPECT_TRUE(serveUntilTold("up"));
}

TEST_F(ClientNameTest, Connect_noSuchName_isAFailureAndTriedAgain) {
  start();
  aimAtName("server.test").connect();
  ASSERT_TRUE(serveUntilTold("failed", 2));
  EXPECT_EQ(failures()[0].error, ResolveError::NotFound);
  EXPECT_TRUE(failures()[0].address.isUnspecified());
  EXPECT_EQ(failures()[1].round, 2);
  dns().answer("server.test", {.ipv4 = {"127.0.0.1"}});
  EXPECT_TRUE(serveUntilTold("up"));
}

TEST_F(ClientNameTest, EndOrStop_whileResolving_tellsNothing) {
  start();
  dns().answer("server.test", {.ipv4 = {"127.0.0.1"}});
  for (const bool ends : {true, false}) {
    aimAtName("server.test").connect();
    settle();
    ASSERT_EQ(client().state(), ClientState::Resolving);
    if (ends) {
      endClient();
    } else {
      client().stop();
      EXPECT_EQ(client().state(), ClientState::Idle);
    }
    // The answer comes too late.
    for (int i = 0; i < 3; ++i) {
      dns().serve();
      settle();
    }
    EXPECT_TRUE(told().empty());
    EXPECT_EQ(count(CallbackKind::Up), 0U);
  }
}

}  // namespace
}  // namespace gyre
