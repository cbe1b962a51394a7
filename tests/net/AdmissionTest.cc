// Who is let in: the most connections, the most from one address, a filter, and to which loop.
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "net/AllocationCounter.h"
#include "support/Sanitizers.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

class AdmissionTest : public ServerFixture {
 protected:
  void startLimited(const ServerLimits& limits) {
    start({.configure = [limits](TcpServer& server) { server.setLimits(limits); }});
  }
  ServerStats stats() { return server()->stats(); }
};

TEST_F(AdmissionTest, Wait_theNextOnesAreServedWhenOthersHaveGone) {
  startLimited({.connectionsMax = 3});
  std::vector<Peer> peers;
  for (int i = 0; i < 6; ++i) {
    peers.push_back(connect());
    ASSERT_TRUE(peers.back().send("hello"));
  }
  ASSERT_TRUE(runUntilUp(3));
  settle();
  EXPECT_EQ(count(CallbackKind::Up), 3U);
  for (int i = 0; i < 3; ++i) {
    peers.erase(peers.begin());
    ASSERT_TRUE(runUntilUp(static_cast<std::size_t>(4 + i)));
    settle();
    EXPECT_EQ(server()->connectionCount(), 3U);
  }
  for (Peer& peer : peers) EXPECT_EQ(peer.receive(5), "hello");
  EXPECT_EQ(stats().refusedByConnections, 0U);
}

TEST_F(AdmissionTest, Wait_doesNotSpin) {
  startLimited({.connectionsMax = 1});
  const Peer first = connect();
  const Peer second = connect();
  ASSERT_TRUE(runUntilUp(1));
  settle();
  const std::uint64_t before = loop().counters().iterations.get();
  const auto until = loop().now() + std::chrono::milliseconds(300);
  while (loop().now() < until) loop().runOnce(until);
  EXPECT_LE(loop().counters().iterations.get() - before, 10U);
}

TEST_F(AdmissionTest, Wait_manyThatComeAndGo_areAllServed) {
  startLimited({.connectionsMax = 10});
  for (int round = 0; round < 20; ++round) {
    std::vector<Peer> peers;
    for (int i = 0; i < 25; ++i) {
      peers.push_back(connect());
      ASSERT_TRUE(peers.back().send("x"));
    }
    for (Peer& peer : peers) {
      ASSERT_EQ(peer.receive(1), "x");
      peer.close();
    }
  }
  ASSERT_TRUE(runUntilClosed(500));
}

TEST_F(AdmissionTest, Wait_stoppingClosesThoseThatWait) {
  startLimited({.connectionsMax = 1});
  const Peer first = connect();
  Peer second = connect();
  ASSERT_TRUE(runUntilUp(1));
  endServer();
  EXPECT_EQ(second.receiveToEnd(), "");
}

// Also the one that comes while the acceptor is on its way to close.
TEST_F(AdmissionTest, Wait_stoppingInsideTheFilter_closesTheOneItWasAskedFor) {
  int asked = 0;
  start({.configure = [&](TcpServer& server) {
    server.setLimits({.connectionsMax = 1});
    server.setAcceptFilter([&](const InetAddress&) {
      if (++asked == 2) server.stop();
      return true;
    });
  }});
  const Peer first = connect();
  Peer second = connect();
  settle();
  // An engine that accepts one by one has paused before the second.
  if (asked < 2) server()->stop();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(second.receiveToEnd(), "");
}

#ifndef GYRE_TEST_SANITIZED
// The one that is to wait costs memory, of which there is none just then.
TEST_F(AdmissionTest, Wait_withoutMemoryForIt_closesThatOneOnly) {
  bool isRefused = false;
  start({.configure = [&](TcpServer& server) {
    server.setLimits({.connectionsMax = 1});
    server.setAcceptFilter([&](const InetAddress&) {
      if (server.connectionCount() == 1 && !std::exchange(isRefused, true)) refuseAllocation(0);
      return true;
    });
  }});
  Peer first = connect();
  Peer second = connect();
  Peer third = connect();
  settle();
  first.close();
  ASSERT_TRUE(runUntilUp(2));
  // An engine that accepts one by one has paused before the second: then that one is served.
  EXPECT_EQ(isRefused ? second.receiveToEnd() : "", "");
  Peer& next = isRefused ? third : second;
  ASSERT_TRUE(next.send("hello"));
  EXPECT_EQ(next.receive(5), "hello");
}

// The place of the one that could not be established is free, and others wait for it. At first it
// is the batch that costs memory, which serves the next batches; then the connection.
TEST_F(AdmissionTest, Wait_withoutMemoryForTheNext_theOneAfterItIsServed) {
  int placed = 0;
  start({.configure = [&](TcpServer& server) {
    server.setLimits({.connectionsMax = 1});
    server.setPlacement([&](const InetAddress&, std::size_t) {
      if (++placed == 2) refuseAllocation(0);
      return std::size_t{0};
    });
  }});
  for (std::size_t round = 0; round < 2; ++round) {
    placed = 0;
    Peer first = connect();
    ASSERT_TRUE(runUntilUp(2 * round + 1));
    std::vector<Peer> others;
    others.push_back(connect());
    others.push_back(connect());
    settle();
    first.close();
    // Which of both is closed is the engine's affair: whether it has accepted one or two by then.
    std::size_t served = 0;
    for (Peer& peer : others) {
      if (peer.send("hello") && peer.receive(5) == "hello") ++served;
      peer.close();
    }
    EXPECT_EQ(served, 1U) << "round " << round;
    ASSERT_TRUE(runUntilClosed(2 * round + 2));
  }
}

// On its way to another loop a client costs memory for the batch, for the sockets that are handed
// over, and for the functor that takes them. What served two batches serves the next ones.
TEST_F(AdmissionTest, HandOver_withoutMemory_closesThatOneOnly) {
  std::size_t after = 0;
  bool refuses = false;
  start({.threads = 1, .configure = [&](TcpServer& server) {
           server.setPlacement([&](const InetAddress&, std::size_t) {
             if (std::exchange(refuses, false)) refuseAllocation(after);
             return std::size_t{0};
           });
         }});
  const auto closesWithout = [&](std::size_t number) {
    after = number;
    refuses = true;
    Peer closed = connect();
    EXPECT_EQ(closed.receiveToEnd(), "") << "after " << after;
    EXPECT_EQ(server()->connectionCount(), 0U);
    EXPECT_TRUE(echoes());
    ASSERT_TRUE(runUntil([&] { return server()->connectionCount() == 0; }));
  };
  closesWithout(0);  // the batch
  EXPECT_TRUE(echoes());
  closesWithout(0);  // the sockets
  closesWithout(1);  // the functor
  EXPECT_EQ(count(CallbackKind::Up), 4U);
}
#endif

TEST_F(AdmissionTest, Refuse_closesAtOnce_andCounts) {
  startLimited({.connectionsMax = 2, .atConnectionsMax = OverloadPolicy::Refuse});
  Peer first = connect();
  const Peer second = connect();
  Peer third = connect();
  EXPECT_EQ(third.receiveToEnd(), "");
  EXPECT_EQ(stats().refusedByConnections, 1U);
  first.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_TRUE(echoes());
  EXPECT_EQ(stats().accepted, 4U);
}

TEST_F(AdmissionTest, PerAddress_refusesOneTooMany_andForgetsThoseThatLeft) {
  startLimited({.connectionsPerAddressMax = 2});
  std::vector<Peer> peers = connectMany(2);
  Peer third = connect();
  EXPECT_EQ(third.receiveToEnd(), "");
  EXPECT_EQ(stats().refusedByAddress, 1U);
  peers[0].reset();  // the kernel forgets its address
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_TRUE(echoes());
  ASSERT_TRUE(runUntilClosed(2));
  EXPECT_TRUE(echoes()) << "the place is free again each time";
}

TEST_F(AdmissionTest, Filter_seesThePeer_andRefuses) {
  std::vector<std::string> seen;
  bool isOpen = false;
  start({.configure = [&](TcpServer& server) {
    server.setAcceptFilter([&](const InetAddress& peer) {
      seen.push_back(peer.ip());
      return isOpen;
    });
  }});
  Peer refused = connect();
  EXPECT_EQ(refused.receiveToEnd(), "");
  isOpen = true;
  EXPECT_TRUE(echoes());
  EXPECT_EQ(seen, std::vector<std::string>(2, "127.0.0.1"));
  EXPECT_EQ(stats().refusedByFilter, 1U);
}

TEST_F(AdmissionTest, FilterThatThrows_refusesThatOneOnly) {
  int asked = 0;
  start({.configure = [&](TcpServer& server) {
    server.setAcceptFilter([&](const InetAddress&) {
      if (++asked == 1) throw std::runtime_error("not this one");
      return true;
    });
  }});
  Peer refused = connect();
  EXPECT_EQ(refused.receiveToEnd(), "");
  EXPECT_TRUE(echoes());
  EXPECT_EQ(loop().counters().callbackFailures.get(), 1U);
}

TEST_F(AdmissionTest, FewestConnections_evensOutWhatRoundRobinWouldNot) {
  std::mutex mutex;
  std::map<std::thread::id, std::vector<TcpConnectionPtr>> placed;
  start(
      {.threads = 3,
       .onUp =
           [&](const TcpConnectionPtr& connection) {
             const std::lock_guard lock(mutex);
             placed[std::this_thread::get_id()].push_back(connection);
           },
       .configure = [](TcpServer& server) { server.setPlacement(Placement::FewestConnections); }});
  std::vector<Peer> peers = connectMany(30);
  {
    const std::lock_guard lock(mutex);
    ASSERT_EQ(placed.size(), 3U);
    for (const auto& connection : placed.begin()->second) connection->forceClose();
  }
  // Not only until their callbacks have run: until they count no more.
  ASSERT_TRUE(runUntil([&] { return server()->connectionCount() == 20; }));
  std::vector<Peer> more = connectMany(10);
  for (const LoopStats& loop : stats().loops) EXPECT_EQ(loop.connections, 10U);
  placed.clear();
}

TEST_F(AdmissionTest, OwnPlacement_isAsked) {
  start({.threads = 3, .configure = [](TcpServer& server) {
           server.setPlacement([](const InetAddress& peer, std::size_t loops) {
             EXPECT_TRUE(peer.isLoopback());
             EXPECT_EQ(loops, 3U);
             return std::size_t{1};
           });
         }});
  const std::vector<Peer> peers = connectMany(9);
  const ServerStats now = stats();
  EXPECT_EQ(now.loops[0].connections, 0U);
  EXPECT_EQ(now.loops[1].connections, 9U);
  EXPECT_EQ(now.loops[2].connections, 0U);
}

TEST_F(AdmissionTest, ListenerPerLoop_servesAndStops) {
  start({.threads = 3,
         .configure = [](TcpServer& server) { server.setAcceptMode(AcceptMode::EveryLoop); }});
  EXPECT_EQ(server()->listenerDescriptors().size(), 3U);
  std::vector<Peer> peers = connectMany(60);
  EXPECT_EQ(countEchoed(peers, "hello", pump()), 60U);
  std::size_t accepts = 0;
  std::size_t loopsUsed = 0;
  for (const LoopStats& loop : stats().loops) {
    EXPECT_EQ(loop.accepts, loop.connections) << "each serves what it accepted";
    accepts += loop.accepts;
    loopsUsed += loop.connections != 0 ? 1 : 0;
  }
  EXPECT_EQ(accepts, 60U);
  EXPECT_GE(loopsUsed, 2U);
}

// Two loops look at the same place at the same time: the filter keeps each until the other is
// there.
TEST_F(AdmissionTest, ListenerPerLoop_neverMoreThanConnectionsMax) {
  std::atomic<int> inside{0};
  start({.threads = 2, .configure = [&](TcpServer& server) {
           server.setAcceptMode(AcceptMode::EveryLoop);
           server.setLimits({.connectionsMax = 1});
           server.setAcceptFilter([&](const InetAddress&) {
             const auto limit = std::chrono::steady_clock::now() + kPatience;
             ++inside;
             while (inside < 2 && std::chrono::steady_clock::now() < limit) {
               std::this_thread::yield();
             }
             return true;
           });
         }});
  // So many that the kernel gives each loop some.
  std::vector<Peer> peers;
  for (int i = 0; i < 30; ++i) peers.push_back(connect());
  ASSERT_TRUE(runUntil([&] { return stats().refusedByConnections == 29; }));
  EXPECT_EQ(count(CallbackKind::Up), 1U);
  EXPECT_EQ(server()->connectionCount(), 1U);
}

TEST_F(AdmissionTest, Inherited_listenerIsServed_andSomethingElseIsRefused) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const InetAddress any = InetAddress::loopback(0);
  ASSERT_EQ(::bind(socket.get(), any.sockaddrPtr(), any.length()), 0);
  TcpServer unused(&loop(), InetAddress(), "unused");
  EXPECT_THROW(unused.addListener(UniqueFd(::dup(socket.get()))), std::system_error);
  ASSERT_EQ(::listen(socket.get(), 16), 0);
  start({.configure = [&](TcpServer& server) { server.addListener(std::move(socket)); }});
  Peer peer = connectTo(server()->listenAddress(1));
  ASSERT_TRUE(peer.send("hello"));
  EXPECT_EQ(peer.receive(5), "hello");
}

}  // namespace
}  // namespace gyre
