// Clients that are given a name instead of an address.
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gyre/names/Resolver.h"
#include "support/ClientFixture.h"
#include "support/FakeDnsServer.h"

namespace gyre {
namespace {

// Listens with a full queue, so that the kernel drops further SYNs.
class SilentListener {
 public:
  SilentListener(const std::string& ip, std::uint16_t port)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const InetAddress address(ip + ":" + std::to_string(port));
    const bool listens = ::bind(listener_.get(), address.sockaddrPtr(), address.length()) == 0 &&
                         ::listen(listener_.get(), 0) == 0;
    EXPECT_TRUE(listens);
    pollfd connected{-1, POLLOUT, 0};
    do {
      queue_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      connected.fd = queue_.back().get();
      ::connect(connected.fd, address.sockaddrPtr(), address.length());
    } while (::poll(&connected, 1, 0) == 1);
  }

 private:
  UniqueFd listener_;
  std::vector<UniqueFd> queue_;
};

class ClientNameTest : public ClientFixture {
 protected:
  void SetUp() override {
    ClientFixture::SetUp();
    if (IsSkipped()) return;
    dns_.emplace();
    makeResolver(std::chrono::seconds(2));
  }
  void TearDown() override {
    endClient();
    resolver_.reset();
    dns_.reset();
    ClientFixture::TearDown();
  }

  void makeResolver(TimeSpan tryTimeout, int tries = 100) {
    ResolverOptions options;
    options.servers = {dns_->address()};
    options.tryTimeout = tryTimeout;
    options.tries = tries;
    options.timeout = std::chrono::hours(10);
    resolver_.emplace(&loop(), options);
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

// The first address drops each SYN, and its connect would end after an hour.
TEST_F(ClientNameTest, Connect_firstAddressDoesNotAnswer_theSecondIsTriedBesideIt) {
  start();
  const SilentListener silent("127.0.0.2", server().address().port());
  dns().answer("server.test", {.ipv4 = {"127.0.0.2", "127.0.0.1"}});
  ConnectOptions patient = quick();
  patient.timeout = std::chrono::hours(1);
  aimAtName("server.test").setConnectOptions(patient);
  client().connect();
  ASSERT_TRUE(serveUntilTold("up"));
  EXPECT_EQ(client().connection()->peerAddress(), server().address());
  EXPECT_TRUE(failures().empty()) << "the one that lost has not failed";
  settle();
  EXPECT_EQ(loop().residentCount(), 4U) << "acceptor, both ends and the resolver: no attempt";
}

TEST_F(ClientNameTest, Connect_noAddressAnswers_theTimeoutIsForAll) {
  start();
  const SilentListener first("127.0.0.2", server().address().port());
  const SilentListener second("127.0.0.3", server().address().port());
  dns().answer("server.test", {.ipv4 = {"127.0.0.2", "127.0.0.3"}});
  ConnectOptions options = quick();
  options.timeout = std::chrono::milliseconds(60);
  options.attemptDelay = std::chrono::milliseconds(20);
  options.backoff.attempts = 1;
  aimAtName("server.test").setConnectOptions(options);
  client().connect();
  ASSERT_TRUE(serveUntilTold("failed", 2));
  for (const ConnectFailure& failure : failures()) {
    EXPECT_EQ(failure.error, std::errc::timed_out);
  }
  EXPECT_TRUE(failures()[0].retryAfter.has_value());
  EXPECT_FALSE(failures()[1].retryAfter.has_value());
}

// One question is never answered, and all timeouts are hours.
TEST_F(ClientNameTest, Connect_oneFamilyIsNotAnswered_theOtherIsConnectedTo) {
  start();
  makeResolver(std::chrono::hours(10));
  dns().answer("server.test", {.kindV6 = DnsAnswer::Kind::Silence, .ipv4 = {"127.0.0.1"}});
  aimAtName("server.test").connect();
  EXPECT_TRUE(serveUntilTold("up"));
}

// Nobody listens on ::1, which is found first.
TEST_F(ClientNameTest, Connect_allOfTheFirstFamilyRefuse_theOtherIsWaitedFor) {
  start();
  makeResolver(std::chrono::milliseconds(20));
  dns().answer("server.test", {.kindV4 = DnsAnswer::Kind::Silence, .ipv6 = {"::1"}});
  int attempts = 0;
  ConnectOptions counted = quick();
  counted.prepareSocket = [&attempts](SocketHandle) {
    ++attempts;
    return 0;
  };
  aimAtName("server.test").setConnectOptions(counted);
  client().connect();
  ASSERT_TRUE(runUntil([&] {
    dns().serve();
    return attempts == 1 && client().state() == ClientState::Resolving;
  }));
  EXPECT_TRUE(failures().empty()) << "the round may still be won";
  dns().answer("server.test", {.ipv4 = {"127.0.0.1"}});
  ASSERT_TRUE(serveUntilTold("up"));
  ASSERT_EQ(failures().size(), 1U);
  EXPECT_EQ(failures()[0].retryAfter, std::chrono::milliseconds::zero());
  EXPECT_EQ(failures()[0].round, 1);
}

TEST_F(ClientNameTest, Connect_theOtherFamilyNeverComes_theRoundEndsWithTheFailureOfTheFirst) {
  start();
  makeResolver(std::chrono::milliseconds(5), 2);
  dns().answer("server.test", {.kindV4 = DnsAnswer::Kind::Silence, .ipv6 = {"::1"}});
  ConnectOptions once = quick();
  once.backoff.attempts = 1;
  aimAtName("server.test").setConnectOptions(once);
  client().connect();
  ASSERT_TRUE(serveUntilTold("failed"));
  EXPECT_FALSE(failures()[0].retryAfter.has_value());
  EXPECT_EQ(failures()[0].address.ip(), "::1");
  EXPECT_EQ(client().state(), ClientState::Idle);
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
