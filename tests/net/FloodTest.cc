// Thousands of connects at once, more than the backlog holds and the server admits: none is lost.
// Each is served, refused, or still on its way in, and the server counts as the clients do.
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "gyre/base/UniqueFd.h"
#include "support/LoopFixture.h"
#include "support/Peer.h"
#include "support/ServerProcess.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kClients = 3000;
constexpr std::size_t kConnectionsMax = 1000;

class FloodTest : public LoopFixture {
 protected:
  struct Client {
    UniqueFd fd;
    bool hasSent = false;
    bool isServed = false;
    bool isRefused = false;
  };

  void SetUp() override {
    LoopFixture::SetUp();
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlimit wanted{std::max<rlim_t>(limit.rlim_cur, 2 * kClients), limit.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &wanted), 0) << "needs RLIMIT_NOFILE of 6000";
  }

  void connectAll(const InetAddress& server) {
    for (Client& client : clients_) {
      client.fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const int result = ::connect(client.fd.get(), server.sockaddrPtr(), server.length());
      ASSERT_TRUE(result == 0 || errno == EINPROGRESS) << errno;
    }
  }
  // Says something once connected, and takes what comes.
  static void step(Client& client) {
    if (client.isServed || client.isRefused) return;
    char byte = 'x';
    if (!client.hasSent) {
      client.hasSent = ::send(client.fd.get(), &byte, 1, MSG_NOSIGNAL) == 1;
      client.isRefused = !client.hasSent && errno != EAGAIN && errno != EINPROGRESS &&
                         errno != ENOTCONN && errno != EINTR;
      return;
    }
    const ssize_t got = ::recv(client.fd.get(), &byte, 1, MSG_DONTWAIT);
    client.isServed = got == 1;
    client.isRefused = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  }
  // Until so many are served and all are decided, or nothing has been for a while.
  void stepUntilServed(std::size_t count, milliseconds stillness) {
    auto changedAt = Clock::now();
    for (std::size_t before = 0; decided() < kClients; before = decided()) {
      for (Client& client : clients_) step(client);
      if (decided() != before) changedAt = Clock::now();
      const auto still = Clock::now() - changedAt;
      if (still > (served() < count ? milliseconds(kPatience) : stillness)) return;
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  std::size_t served() const {
    return static_cast<std::size_t>(
        std::count_if(clients_.begin(), clients_.end(), [](auto& one) { return one.isServed; }));
  }
  std::size_t refused() const {
    return static_cast<std::size_t>(
        std::count_if(clients_.begin(), clients_.end(), [](auto& one) { return one.isRefused; }));
  }
  std::size_t decided() const { return served() + refused(); }

  std::vector<Client> clients_{kClients};
};

TEST_F(FloodTest, ThreeThousandAtOnce_eachIsServedOrRefusedOrQueued_andCounted) {
  ServerProcess server({.backlog = 256, .connectionsMax = kConnectionsMax});
  connectAll(server.address());
  stepUntilServed(kConnectionsMax, milliseconds(30));
  const ServerProcess::Counters counters = server.counters();
  EXPECT_EQ(served(), kConnectionsMax);
  EXPECT_EQ(counters.connections, kConnectionsMax);
  EXPECT_EQ(counters.accepted - counters.refused, kConnectionsMax);
  EXPECT_GE(counters.refused, refused()) << "who has not heard of it yet is counted";
  EXPECT_LE(counters.accepted, kClients);

  clients_.clear();
  Peer late(server.address());
  while (late.send("hello") && late.receive(5) != "hello") {
    late = Peer(server.address());  // until those that left have gone
  }
  EXPECT_EQ(late.error(), 0) << "it serves as before";
}

using FloodLongTest = FloodTest;

// A dropped SYN is sent again after 1, 3 and 7 s.
TEST_F(FloodLongTest, ThreeThousandAtOnce_allAreDecidedInTheEnd) {
  ServerProcess server({.backlog = 64, .connectionsMax = kConnectionsMax});
  connectAll(server.address());
  stepUntilServed(kConnectionsMax, std::chrono::seconds(20));
  const ServerProcess::Counters counters = server.counters();
  EXPECT_EQ(decided(), kClients);
  EXPECT_EQ(served(), kConnectionsMax);
  EXPECT_EQ(counters.accepted, kClients);
  EXPECT_EQ(counters.refused, kClients - kConnectionsMax);
  clients_.clear();  // before descriptors are counted
}

}  // namespace
}  // namespace gyre
