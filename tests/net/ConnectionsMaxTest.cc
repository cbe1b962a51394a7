// Churn at connectionsMax: many more clients than places, which come and go on threads of their own
// while the connections live on the loops'. Each is served.
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <thread>
#include <vector>

#include "support/ServerFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kPlaces = 4;

class ConnectionsMaxTest : public ServerFixture, public testing::WithParamInterface<int> {
 protected:
  // So many connections, one after the other on each of 24 threads. How many were not answered.
  std::size_t churn(std::size_t connections) {
    start({.threads = GetParam(),
           .configure = [](TcpServer& server) { server.setLimits({.connectionsMax = kPlaces}); }});
    constexpr std::size_t kClients = 24;
    std::atomic<std::size_t> left{connections};
    std::atomic<std::size_t> unserved{0};
    std::atomic<std::size_t> running{kClients};
    std::vector<std::thread> clients;
    for (std::size_t i = 0; i < kClients; ++i) {
      clients.emplace_back([&] {
        for (std::size_t now = left; now > 0 && unserved == 0;) {
          if (left.compare_exchange_weak(now, now - 1))
            unserved += isAnswered(now % 2 == 0) ? 0 : 1;
        }
        --running;
      });
    }
    while (running != 0) runOnce();  // the patience is the clients' own
    for (std::thread& client : clients) client.join();
    return unserved;
  }

  // Says a byte and gets it back within kPatience, then goes, with a reset or without.
  bool isAnswered(bool resets) {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{kPatience.count(), 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const linger lingerZero{resets ? 1 : 0, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &lingerZero, sizeof lingerZero);
    const InetAddress address = server().address();
    char byte = 'x';
    return ::connect(fd.get(), address.sockaddrPtr(), address.length()) == 0 &&
           ::send(fd.get(), &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(fd.get(), &byte, 1, 0) == 1;
  }

  void expectAllServed(std::size_t connections) {
    EXPECT_EQ(churn(connections), 0U) << "a client waits, and nobody serves it";
    ASSERT_TRUE(runUntilClosed(connections));
    EXPECT_EQ(server()->connectionCount(), 0U);
    EXPECT_EQ(server()->stats().accepted, connections);
  }
};

TEST_P(ConnectionsMaxTest, Churn_everyClientIsServed) { expectAllServed(5000); }

using ConnectionsMaxLongTest = ConnectionsMaxTest;

TEST_P(ConnectionsMaxLongTest, Churn_everyClientIsServed) { expectAllServed(200'000); }

INSTANTIATE_TEST_SUITE_P(Threads, ConnectionsMaxTest, testing::Range(0, 5));
INSTANTIATE_TEST_SUITE_P(Threads, ConnectionsMaxLongTest, testing::Range(0, 5));

}  // namespace
}  // namespace gyre
