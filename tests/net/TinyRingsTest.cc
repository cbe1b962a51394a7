// Every queue and pool as small as it may be, and a thousand connections: all is served, and
// nothing is tried in vain.
#include <cstdio>
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

class TinyRingsTest : public ServerFixture {
 protected:
  ProactorOptions loopOptions() const override { return tinyProactorOptions(); }
};

TEST_F(TinyRingsTest, ThousandConnections_areExact_withTwoStarvedReceivesPerMessageAtMost) {
  start();
  std::vector<Peer> peers = connectMany(1000);
  constexpr std::uint64_t kRounds = 5;
  for (std::uint64_t i = 0; i < kRounds; ++i) {
    const std::string text = patternBytes(1000, i * 77);
    // All at once, so that they compete for the two buffers.
    for (Peer& peer : peers) ASSERT_EQ(peer.sendSome(text), text.size());
    for (Peer& peer : peers) ASSERT_EQ(peer.receive(text.size()), text);
  }
  const LoopCounters& counters = loop().counters();
  std::printf("starved receives per message: %.2f, overflows: %llu\n",
              static_cast<double>(counters.receivesStarved.get()) / (1000.0 * kRounds),
              static_cast<unsigned long long>(counters.overflows.get()));
  EXPECT_LE(counters.receivesStarved.get(), 2 * 1000 * kRounds);
  EXPECT_EQ(counters.bytesReceived.get(), 1000 * 1000 * kRounds);
  EXPECT_EQ(counters.bytesSent.get(), 1000 * 1000 * kRounds);
}

// An echo of that size goes out of the buffer it came in, of which there are two.
TEST_F(TinyRingsTest, EchoesThatFindNoRoom_holdNoReceiveBuffer_andLoseNothing) {
  constexpr std::size_t kPiece = 7000;
  start();
  const LoopCounters& counters = loop().counters();
  std::vector<Peer> peers;
  std::vector<std::string> owed(3);
  std::uint64_t sent = 0;
  for (std::string& each : owed) {
    peers.push_back(connect(4096));
    // Until half a dozen of its pieces wait for it to read.
    for (const std::uint64_t stuck = sent - counters.bytesSent.get();
         sent - counters.bytesSent.get() < stuck + 6 * kPiece;) {
      const std::string piece = patternBytes(kPiece, each.size());
      ASSERT_TRUE(peers.back().send(piece));
      each += piece;
      sent += kPiece;
      ASSERT_TRUE(runUntil([&] { return counters.bytesReceived.get() == sent; }));
      runOnce();
    }
  }
  EXPECT_TRUE(echoes());
  for (std::size_t i = 0; i < peers.size(); ++i) {
    EXPECT_TRUE(peers[i].receive(owed[i].size()) == owed[i]) << "peer " << i;
  }
}

TEST_F(TinyRingsTest, ThousandConnections_closingAtOnce_leaveNothing) {
  start();
  for (int i = 0; i < 3; ++i) {
    const std::vector<Peer> peers = connectMany(1000);
  }
  ASSERT_TRUE(runUntilClosed(3000));
  EXPECT_EQ(loop().residentCount(), 1U);
}

TEST_F(TinyRingsTest, BroadcastToAThousand_fillsTheSubmissionQueueInsideACallback) {
  std::vector<TcpConnectionPtr> all;
  start({.onUp = [&](const TcpConnectionPtr& connection) { all.push_back(connection); },
         .onMessage =
             [&](const TcpConnectionPtr&, Buffer& in) {
               const auto text = std::make_shared<const std::string>(in.retrieveAllAsString());
               for (const TcpConnectionPtr& connection : all) connection->send(text);
             }});
  std::vector<Peer> peers = connectMany(1000);
  for (const char* word : {"first", "other", "final"}) {
    ASSERT_TRUE(peers.front().send(word));
    for (Peer& peer : peers) ASSERT_EQ(peer.receive(5), word);
  }
}

TEST_F(TinyRingsTest, PausingAThousand_andResumingThem_losesNothing) {
  std::vector<TcpConnectionPtr> all;
  start({.onUp = [&](const TcpConnectionPtr& connection) { all.push_back(connection); }});
  std::vector<Peer> peers = connectMany(1000);
  for (int round = 0; round < 3; ++round) {
    for (Peer& peer : peers) peer.sendSome("half ");
    for (const TcpConnectionPtr& connection : all) connection->stopRead();
    settle();
    for (Peer& peer : peers) peer.sendSome("done.");
    for (const TcpConnectionPtr& connection : all) connection->startRead();
    for (Peer& peer : peers) ASSERT_EQ(peer.receive(10), "half done.");
  }
}

}  // namespace
}  // namespace gyre
