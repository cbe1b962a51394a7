// Peers that vanish: their packets are lost from some moment on, without FIN or reset. A network of
// the test's own is switched off under living connections.
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "gyre/connection/TcpConnection.h"
#include "gyre/server/TcpServer.h"
#include "support/Peer.h"
#include "support/TestOptions.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kPeers = 20;

bool switchLoopback(bool on) {
  const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = static_cast<short>(on ? IFF_UP | IFF_RUNNING : 0);
  return ::ioctl(control.get(), SIOCSIFFLAGS, &request) == 0;
}

struct Outcome {
  std::string skipped;
  std::size_t up = 0;
  std::size_t left = 0;
  std::uint64_t timeouts = 0;
  std::map<CloseReason, int> reasons;
};

// On a thread of its own, which alone is in the new network.
void vanish(Outcome& outcome) {
  if (::unshare(CLONE_NEWNET) != 0 || !switchLoopback(true)) {
    outcome.skipped = std::string("no network namespace to be had: ") + std::strerror(errno);
    return;
  }
  EventLoop loop(testProactorOptions());
  loop.setTimeoutTick(milliseconds(10));
  TcpServer server(&loop, InetAddress::loopback(0), "vanish");
  server.setThreadNum(0);
  std::vector<TcpConnectionPtr> connections;
  server.setConnectionCallback([&](const TcpConnectionPtr& connection) {
    if (connection->connected()) connections.push_back(connection);
  });
  server.setMessageCallback([](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->send(std::string(16 * 1024 * 1024, 'x'));
  });
  server.setCloseCallback(
      [&](const TcpConnectionPtr& connection) { ++outcome.reasons[connection->closeReason()]; });
  server.start();
  const auto runOnce = [&] { loop.runOnce(loop.now() + milliseconds(1)); };
  const auto runUntil = [&](const auto& isDone) {
    const TimePoint limit = loop.now() + std::chrono::seconds(20);
    while (!isDone() && loop.now() < limit) runOnce();
  };

  std::vector<Peer> peers;
  for (std::size_t i = 0; i < kPeers; ++i) {
    peers.emplace_back(server.listenAddress(), runOnce, 4096);
    if (i % 2 == 0) peers.back().sendSome("more than it will read");
  }
  // Until every request has come: what is on its way when the network goes never does.
  const auto owes = [](const TcpConnectionPtr& connection) {
    return connection->outputBytes() != 0;
  };
  runUntil([&] {
    return connections.size() == kPeers &&
           std::count_if(connections.begin(), connections.end(), owes) == kPeers / 2;
  });
  outcome.up = server.connectionCount();
  switchLoopback(false);
  // Not earlier: on a busy machine all this may take longer than they are. Who is owed something
  // stalls before it is idle.
  for (const TcpConnectionPtr& connection : connections) {
    connection->setTimeouts(
        {.idle = milliseconds(600), .writeStall = milliseconds(300), .close = milliseconds(100)});
  }
  connections.clear();
  runUntil([&] { return server.connectionCount() == 0; });
  outcome.left = server.connectionCount();
  outcome.timeouts = loop.counters().timeouts.get();
}

TEST(VanishTest, PeersWhosePacketsAreLost_areGivenUpByTheTimeouts) {
  Outcome outcome;
  std::thread([&outcome] { vanish(outcome); }).join();
  if (!outcome.skipped.empty()) GTEST_SKIP() << outcome.skipped;
  EXPECT_EQ(outcome.up, kPeers);
  EXPECT_EQ(outcome.left, 0U);
  EXPECT_GE(outcome.timeouts, kPeers);
  EXPECT_EQ(outcome.reasons[CloseReason::WriteStall], 10) << "those we owe something";
  EXPECT_EQ(outcome.reasons[CloseReason::LingerTimeout], 10) << "FIN was never answered";
}

}  // namespace
}  // namespace gyre
