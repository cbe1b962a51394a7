// Signals under load: those that are ignored by default, a handler that interrupts every wait, and
// being stopped and continued. Not one byte is lost, nobody is closed, and nothing spins.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include "support/LoopFixture.h"
#include "support/Peer.h"
#include "support/ServerProcess.h"

namespace gyre {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class SignalStormTest : public LoopFixture {
 protected:
  static constexpr std::size_t kPeers = 8;

  std::vector<Peer> connectAll(const InetAddress& address) {
    std::vector<Peer> peers;
    for (std::size_t i = 0; i < kPeers; ++i) peers.emplace_back(address);
    return peers;
  }
  static void sleepWhileOthersRun() { std::this_thread::sleep_for(microseconds(50)); }
};

TEST_F(SignalStormTest, Interrupted_andIgnoredOnes_loseNoByte_andDoNotSpin) {
  ServerProcess server({.alarmEvery = microseconds(200)});
  std::vector<Peer> peers = connectAll(server.address());
  std::atomic<bool> isOver{false};
  std::thread storm([&] {
    while (!isOver.load()) {
      for (const int ignored : {SIGCHLD, SIGWINCH, SIGURG}) server.process().signal(ignored);
      std::this_thread::sleep_for(microseconds(100));
    }
  });
  const std::string text(256 * 1024, 'x');
  EXPECT_EQ(countEchoed(peers, text, sleepWhileOthersRun), kPeers);
  // At rest the alarms go on. Where others have the CPU it takes longer until it was a storm.
  const ServerProcess::Counters before = server.counters();
  ServerProcess::Counters after = before;
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t looks = 0;
  while (after.alarms - before.alarms <= 20 &&
         std::chrono::steady_clock::now() - begin < kPatience) {
    std::this_thread::sleep_for(milliseconds(100));
    after = server.counters();
    ++looks;
  }
  isOver = true;
  storm.join();

  EXPECT_GT(after.alarms - before.alarms, 20U) << "or it was no storm";
  EXPECT_LE(after.iterations - before.iterations, 5 * looks) << "an interrupted wait goes on";
  EXPECT_LE(after.enters - before.enters, 10 * (after.alarms - before.alarms) + 20);
  EXPECT_EQ(after.disconnections, 0U);
  EXPECT_EQ(after.bytesReceived, kPeers * text.size());
}

TEST_F(SignalStormTest, StoppedAndContinued_underLoad_losesNoByte) {
  ServerProcess server;
  std::vector<Peer> peers = connectAll(server.address());
  std::atomic<bool> isOver{false};
  int stops = 0;
  std::thread storm([&] {
    do {
      server.process().stop();
      std::this_thread::sleep_for(milliseconds(5));
      server.process().resume();
      ++stops;
      std::this_thread::sleep_for(milliseconds(2));
    } while (!isOver.load() || stops < 10);
  });
  const std::string text(512 * 1024, 'x');
  EXPECT_EQ(countEchoed(peers, text, sleepWhileOthersRun), kPeers);
  isOver = true;
  storm.join();

  const ServerProcess::Counters after = server.counters();
  EXPECT_EQ(after.disconnections, 0U);
  EXPECT_EQ(after.bytesReceived, kPeers * text.size());
}

// Whatever a peer has sent while the process stood still is found before it is judged idle.
TEST_F(SignalStormTest, StoppedForLongerThanIdle_whoSpokeMeanwhileStays_whoDidNotGoes) {
  constexpr milliseconds kIdle{300};
  std::optional<ServerProcess> started;
  std::vector<Peer> peers;
  // Anew, should so much time have passed on a busy machine that some were idle before the stop.
  for (int tries = 0; tries < 50; ++tries) {
    peers.clear();
    started.emplace(ServerProcess::Options{.idle = kIdle});
    const auto begin = std::chrono::steady_clock::now();
    peers = connectAll(started->address());
    EXPECT_EQ(countEchoed(peers, "x", sleepWhileOthersRun), kPeers);
    started->process().stop();
    if (std::chrono::steady_clock::now() - begin < kIdle / 2) break;
    started->process().resume();
  }
  ServerProcess& server = *started;
  for (std::size_t i = 1; i < kPeers; ++i) ASSERT_TRUE(peers[i].send("still here"));
  std::this_thread::sleep_for(2 * kIdle);
  server.process().resume();

  for (std::size_t i = 1; i < kPeers; ++i) EXPECT_EQ(peers[i].receive(10), "still here");
  EXPECT_EQ(peers[0].receiveToEnd(), "");
  EXPECT_EQ(peers[0].error(), 0) << "in good order";
  // The others too, but later: their time began with the bytes.
  for (std::size_t i = 1; i < kPeers; ++i) EXPECT_EQ(peers[i].receiveToEnd(), "");
  EXPECT_EQ(server.counters().timeouts, kPeers);
}

}  // namespace
}  // namespace gyre
