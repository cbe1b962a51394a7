// Connects that fail, each with its errno value and a reason, and what comes next.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <vector>

#include "client/ConnectAttempt.h"
#include "support/ClientFixture.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

// Linux 6.3; the headers of the oldest distribution do not have it.
constexpr int kIpLocalPortRange = 51;

class ConnectFailureTest : public ClientFixture {
 protected:
  // Connects once, and expects this error and a reason with these words.
  void expectFailure(const InetAddress& address, ConnectOptions options, int error,
                     std::string_view words) {
    options.backoff.attempts = 1;
    aim(address).setConnectOptions(options);
    client().connect();
    EXPECT_TRUE(told().empty()) << "never inside the call";
    ASSERT_TRUE(runUntilTold("failed"));
    const ConnectFailure& failure = failures().front();
    EXPECT_EQ(failure.error.value(), error);
    EXPECT_EQ(failure.address, address);
    EXPECT_NE(failure.reason.find(words), std::string_view::npos) << failure.reason;
    EXPECT_EQ(failure.round, 1);
    EXPECT_FALSE(failure.retryAfter.has_value());
    EXPECT_EQ(client().state(), ClientState::Idle);
    settle();
    EXPECT_EQ(told().size(), 1U);
    EXPECT_EQ(loop().residentCount(), 0U);
  }
  // Options whose sockets can have this local port only. Skips where the kernel cannot say so.
  static ConnectOptions fromPort(std::uint16_t port, bool& isSupported) {
    ConnectOptions options = quick();
    options.prepareSocket = [port, &isSupported](SocketHandle socket) {
      const std::uint32_t range = std::uint32_t{port} << 16 | port;
      const int result =
          ::setsockopt(socket.value(), IPPROTO_IP, kIpLocalPortRange, &range, sizeof range);
      isSupported = result == 0;
      return isSupported ? 0 : errno;
    };
    return options;
  }
};

TEST_F(ConnectFailureTest, NobodyListens) {
  expectFailure(refusing(), quick(), ECONNREFUSED, "nobody listens");
}

TEST_F(ConnectFailureTest, NobodyAnswers_isTimedOut) {
  ConnectOptions options = quick();
  options.timeout = milliseconds(20);
  const TimePoint before = loop().now();
  expectFailure(silent(), options, ETIMEDOUT, "no answer in time");
  EXPECT_GE(loop().now() - before, milliseconds(20));
}

TEST_F(ConnectFailureTest, NoRoute) {
  // TCP has no broadcast, so no packet leaves this machine; kernels differ in how they say so.
  aim(InetAddress("255.255.255.255:9")).connect();
  ASSERT_TRUE(runUntilTold("failed"));
  const int error = failures()[0].error.value();
  EXPECT_TRUE(error == ENETUNREACH || error == EACCES) << error;
  EXPECT_NE(failures()[0].reason, explainConnectError(0)) << "a reason of its own";
}

TEST_F(ConnectFailureTest, NoSuchUnixSocket) {
  expectFailure(InetAddress("unix:/nonexistent/socket"), quick(), ENOENT, "no socket at that path");
}

TEST_F(ConnectFailureTest, NoAddressAtAll) {
  expectFailure(InetAddress(), quick(), EAFNOSUPPORT, "no such address family");
}

TEST_F(ConnectFailureTest, NoDescriptorLeft) {
  loop();
  const InetAddress address = refusing();
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 128;
  ::setrlimit(RLIMIT_NOFILE, &few);
  std::vector<UniqueFd> all;
  while (true) {
    UniqueFd fd(::fcntl(0, F_DUPFD_CLOEXEC, 0));
    if (!fd) break;
    all.push_back(std::move(fd));
  }
  expectFailure(address, quick(), EMFILE, "out of descriptors");
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_F(ConnectFailureTest, NoLocalPortLeft) {
  start();
  Peer holder = connect();
  bool isSupported = false;
  // The peer holds the only port there is, on the same address to the same server.
  const std::uint16_t port = holder.address().port();
  const ConnectOptions options = fromPort(port, isSupported);
  aim(server().address()).setConnectOptions(options);
  client().connect();
  ASSERT_TRUE(runUntilTold("failed"));
  if (!isSupported) GTEST_SKIP() << "the kernel has no IP_LOCAL_PORT_RANGE (6.3)";
  EXPECT_EQ(failures()[0].error.value(), EADDRNOTAVAIL);
  EXPECT_NE(failures()[0].reason.find("no local port"), std::string_view::npos);
  holder.reset();
  EXPECT_TRUE(runUntilTold("up")) << "the port is free again";
  EXPECT_EQ(client().connection()->localAddress().port(), port);
}

TEST_F(ConnectFailureTest, ConnectedToOneself_isRefused) {
  // A port is free as of now; another process may take it before we do.
  const std::string_view itself = "it connected to itself";
  bool isItself = false;
  for (int tries = 0; tries < 20 && !isItself; ++tries) {
    const std::uint16_t port = [this] {
      TcpServer brief(&loop(), InetAddress::loopback(0), "brief");
      brief.setThreadNum(0);
      brief.start();
      return brief.listenAddress().port();
    }();
    bool isSupported = false;
    ConnectOptions options = fromPort(port, isSupported);
    options.backoff.attempts = 1;
    aim(InetAddress::loopback(port)).setConnectOptions(options);
    const std::size_t before = told().size();
    client().connect();
    ASSERT_TRUE(runUntil([&] { return told().size() != before; }));
    if (!isSupported) GTEST_SKIP() << "the kernel has no IP_LOCAL_PORT_RANGE (6.3)";
    isItself = told().back() == "failed" && failures().back().reason.starts_with(itself);
  }
  ASSERT_TRUE(isItself);
  EXPECT_EQ(failures().back().error.value(), ECONNREFUSED);
}

TEST_F(ConnectFailureTest, PrepareSocketThatFails) {
  ConnectOptions options = quick();
  options.prepareSocket = [](SocketHandle) { return EADDRINUSE; };
  expectFailure(refusing(), options, EADDRINUSE, "in use");
}

TEST_F(ConnectFailureTest, PrepareSocketThatThrows_failsTheAttempt) {
  ConnectOptions options = quick();
  options.prepareSocket = [](SocketHandle) -> int { throw std::runtime_error("on purpose"); };
  expectFailure(refusing(), options, EINVAL, "prepareSocket");
  EXPECT_EQ(loop().counters().callbackFailures.get(), 1U);
}

// --- What comes next

TEST_F(ConnectFailureTest, Rounds_growAndEndAtTheLimit) {
  ConnectOptions options = quick();
  options.backoff = {.initial = milliseconds(1),
                     .maximum = milliseconds(3),
                     .factor = 2,
                     .jitter = 0,
                     .attempts = 4};
  aim(refusing()).setConnectOptions(options);
  client().connect();
  ASSERT_TRUE(runUntilTold("failed", 4));
  std::vector<int> rounds;
  std::vector<std::int64_t> delays;
  for (const ConnectFailure& failure : failures()) {
    rounds.push_back(failure.round);
    delays.push_back(failure.retryAfter.value_or(milliseconds(-1)).count());
  }
  EXPECT_EQ(rounds, (std::vector{1, 2, 3, 4}));
  EXPECT_EQ(delays, (std::vector<std::int64_t>{1, 2, 3, -1}));
  EXPECT_EQ(client().state(), ClientState::Idle);
  client().connect();
  ASSERT_TRUE(runUntilTold("failed", 5));
  EXPECT_EQ(failures().back().round, 1) << "begun anew";
}

TEST_F(ConnectFailureTest, TwoClients_doNotWaitAlike) {
  ConnectOptions options = quick();
  options.backoff = {.initial = std::chrono::hours(1), .maximum = std::chrono::hours(1)};
  std::vector<milliseconds> delays;
  for (int i = 0; i < 2; ++i) {
    aim(refusing()).setConnectOptions(options);
    client().connect();
    ASSERT_TRUE(runUntilTold("failed", delays.size() + 1));
    delays.push_back(failures().back().retryAfter.value());
    EXPECT_GE(delays.back(), std::chrono::minutes(30));
    EXPECT_LE(delays.back(), std::chrono::hours(1));
  }
  EXPECT_NE(delays[0], delays[1]);
}

}  // namespace
}  // namespace gyre
