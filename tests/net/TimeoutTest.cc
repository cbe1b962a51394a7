// Timeouts of connections: idle, first byte, write stall, each exact to a tick and none by mistake.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include "gyre/codec/FrameReader.h"
#include "gyre/codec/LineCodec.h"
#include "support/ServerFixture.h"
#include "support/ServerProcess.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kTick{10};

class TimeoutTest : public ServerFixture {
 protected:
  void startWith(const ConnectionTimeouts& timeouts, ServerScript script = {}) {
    loop().setTimeoutTick(kTick);
    script.options.timeouts = timeouts;
    script.onUp = [this, up = script.onUp](const TcpConnectionPtr& connection) {
      connection_ = connection;
      upAt_ = Clock::now();
      if (up) up(connection);
    };
    script.onClose = [this](const TcpConnectionPtr& connection) {
      ++reasons_[connection->closeReason()];
      lived_ = Clock::now() - upAt_;
    };
    start(std::move(script));
  }
  // True, and says so, when the machine was too busy for this test to do in time what keeps a
  // connection from the timeout. The simulation proves the same by a clock of its own.
  bool wasHeldUp(milliseconds timeout) const {
    if (longestPause() < timeout / 2) return false;
    std::printf("held up for %lld ms: nothing was proved\n",
                static_cast<long long>(longestPause() / milliseconds(1)));
    return true;
  }
  std::uint64_t timeouts() { return loop().counters().timeouts.get(); }

  TcpConnectionPtr connection_;
  Clock::time_point upAt_;
  Clock::duration lived_{};
  std::map<CloseReason, int> reasons_;
};

TEST_F(TimeoutTest, Idle_closesInGoodOrder_afterItsTime) {
  startWith({.idle = milliseconds(100)});
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "");
  EXPECT_EQ(peer.error(), 0) << "an end, not a reset";
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reasons_[CloseReason::IdleTimeout], 1);
  EXPECT_EQ(timeouts(), 1U);
  EXPECT_GE(lived_, milliseconds(98)) << "not early";
}

TEST_F(TimeoutTest, Idle_whoSaysSomethingNowAndThen_stays) {
  startWith({.idle = milliseconds(200)});
  Peer talking = connect();
  const Peer silent = connect();
  watchPauses();
  const auto begin = Clock::now();
  while (reasons_[CloseReason::IdleTimeout] == 0 || Clock::now() - begin < milliseconds(500)) {
    const bool isHeard = talking.send("x") && talking.receive(1) == "x";
    if (wasHeldUp(milliseconds(200))) return;
    ASSERT_TRUE(isHeard);
    runOnce();
    if (count(CallbackKind::Close) == 0 && timeouts() == 1) break;  // the silent one, lingering
  }
  const std::uint64_t ended = timeouts();
  const bool isStillHere = talking.send("still here") && talking.receive(10) == "still here";
  if (wasHeldUp(milliseconds(200))) return;
  EXPECT_EQ(ended, 1U);
  EXPECT_TRUE(isStillHere);
}

TEST_F(TimeoutTest, Idle_sendingCountsToo) {
  startWith({.idle = milliseconds(400)});
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  watchPauses();
  for (int i = 0; i < 20; ++i) {
    connection_->send("tick");
    const std::string heard = peer.receive(4);
    if (wasHeldUp(milliseconds(400))) return;
    ASSERT_EQ(heard, "tick");
    const auto until = Clock::now() + milliseconds(30);
    runUntil([&] { return Clock::now() >= until; });
  }
  EXPECT_TRUE(timeouts() == 0 || wasHeldUp(milliseconds(400))) << timeouts();
}

TEST_F(TimeoutTest, FirstByte_closesWhoNeverSaysAnything_alsoWhileWeSend) {
  startWith({.firstByte = milliseconds(100)});
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  while (timeouts() == 0) {
    connection_->send("welcome");
    runOnce();
  }
  peer.receiveToEnd();
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reasons_[CloseReason::FirstByteTimeout] + reasons_[CloseReason::Error], 1);
}

TEST_F(TimeoutTest, FirstByte_isForgottenWithTheFirstByte) {
  startWith({.firstByte = milliseconds(60)});
  // The byte is there before the server knows of the connection: no time passes between.
  Peer peer(server().address());
  ASSERT_TRUE(peer.send("x"));
  peer.setPump(pump());
  EXPECT_EQ(peer.receive(1), "x");
  const auto until = Clock::now() + milliseconds(200);
  runUntil([&] { return Clock::now() >= until; });
  EXPECT_EQ(timeouts(), 0U);
  EXPECT_TRUE(connection_->connected());
}

TEST_F(TimeoutTest, SlowWriter_aByteAtATime_isHeardOut_andWhoStallsInALineIsNot) {
  startWith({.idle = milliseconds(300), .firstByte = milliseconds(300)},
            {.onMessage = framed(LineCodec(), [](const auto& connection, std::string_view line) {
               connection->send(std::string(line));
             })});
  Peer slow = connect();
  Peer stalled = connect();
  ASSERT_TRUE(stalled.send("hal"));
  const std::string line(40, 'x');
  Clock::duration longestPause{};
  for (const char byte : line + "\n") {
    const auto sentAt = Clock::now();
    if (!slow.send({&byte, 1})) break;
    runUntil([&] { return Clock::now() >= sentAt + milliseconds(10); });
    longestPause = std::max(longestPause, Clock::now() - sentAt);
  }
  // It takes longer than the timeout. A machine so busy that we pause too long ourselves shows
  // nothing; the simulation does, by its own clock.
  const bool isHeard = slow.receive(line.size()) == line;
  EXPECT_TRUE(isHeard || longestPause > milliseconds(150));
  EXPECT_EQ(stalled.receiveToEnd(), "");
}

TEST_F(TimeoutTest, WriteStall_abortsWhoReadsNothing) {
  startWith({.writeStall = milliseconds(100)}, {.onUp = [](const TcpConnectionPtr& connection) {
              connection->send(std::string(16 * 1024 * 1024, 'x'));
            }});
  Peer peer = connect(4096);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reasons_[CloseReason::WriteStall], 1);
  EXPECT_GE(lived_, milliseconds(98));
  peer.receiveToEnd();
  EXPECT_EQ(peer.error(), ECONNRESET) << "what was cut short has no end";
}

TEST_F(TimeoutTest, WriteStall_whoReadsSlowly_getsAll) {
  const std::string bytes(3 * 1024 * 1024, 'x');
  startWith({.writeStall = milliseconds(500)},
            {.onUp = [&](const TcpConnectionPtr& connection) { connection->send(bytes); }});
  Peer peer = connect(16 * 1024);
  watchPauses();
  std::string received;
  while (received.size() < bytes.size()) {
    const std::string part =
        peer.receive(std::min<std::size_t>(64 * 1024, bytes.size() - received.size()));
    if (wasHeldUp(milliseconds(500))) return;
    ASSERT_FALSE(part.empty());
    received += part;
    const auto until = Clock::now() + milliseconds(20);
    runUntil([&] { return Clock::now() >= until; });
  }
  EXPECT_TRUE(received == bytes);
  EXPECT_TRUE(timeouts() == 0 || wasHeldUp(milliseconds(500))) << timeouts();
}

TEST_F(TimeoutTest, WriteStall_alsoWhileClosing) {
  startWith({.writeStall = milliseconds(100)}, {.onUp = [](const TcpConnectionPtr& connection) {
              connection->send(std::string(16 * 1024 * 1024, 'x'));
              connection->shutdown();
            }});
  const Peer peer = connect(4096);
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reasons_[CloseReason::WriteStall], 1);
}

TEST_F(TimeoutTest, SetTimeouts_isForThisConnectionOnly) {
  startWith({}, {.onUp = [first = true](const TcpConnectionPtr& connection) mutable {
              if (std::exchange(first, false)) connection->setTimeouts({.idle = milliseconds(50)});
            }});
  Peer mortal = connect();
  ASSERT_TRUE(runUntilUp(1));
  Peer other = connect();
  EXPECT_EQ(mortal.receiveToEnd(), "");
  mortal.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(timeouts(), 1U);
  EXPECT_TRUE(other.send("x"));
  EXPECT_EQ(other.receive(1), "x");
}

TEST_F(TimeoutTest, LongTimeouts_neitherOverflowNorWakeTheLoop) {
  startWith({.idle = milliseconds::max(), .writeStall = std::chrono::hours(24 * 365)});
  const Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  EXPECT_TRUE(echoes());
  EXPECT_EQ(timeouts(), 0U);
}

TEST_F(TimeoutTest, SetTimeoutTick_outOfRange_isRefused) {
  EXPECT_THROW(loop().setTimeoutTick(milliseconds(0)), std::system_error);
  EXPECT_THROW(loop().setTimeoutTick(std::chrono::hours(2)), std::system_error);
}

// Bytes that came while the process stood still are found before anybody is judged idle.
TEST_F(TimeoutTest, StoppedForLongerThanTheTimeout_closesNobodyWhoSpokeMeanwhile) {
  startWith({.idle = milliseconds(400)});
  std::vector<Peer> peers = connectMany(20);
  for (int round = 0; round < 2; ++round) {
    for (Peer& peer : peers) ASSERT_TRUE(peer.send("x"));
    // The loop's thread does not run, with the bytes in the kernel's hands.
    std::this_thread::sleep_for(milliseconds(500));
    watchPauses();
    for (Peer& peer : peers) {
      const std::string heard = peer.receive(1);
      if (wasHeldUp(milliseconds(400))) return;
      ASSERT_EQ(heard, "x");
    }
  }
  EXPECT_EQ(timeouts(), 0U);
}

// As above, from outside: a paused virtual machine, a debugger, SIGSTOP.
TEST_F(TimeoutTest, ProcessIsStoppedForLongerThanTheTimeout_closesNobodyWhoSpokeInTime) {
  constexpr milliseconds kIdle{1500};
  ServerProcess::Options options;
  options.usualSizes = true;
  options.idle = kIdle;
  ServerProcess server(options);
  std::vector<Peer> peers;
  for (int i = 0; i < 700; ++i) peers.emplace_back(server.address());
  const auto begin = Clock::now();
  for (Peer& peer : peers) ASSERT_TRUE(peer.send("a"));
  for (Peer& peer : peers) ASSERT_EQ(peer.receive(1), "a");
  server.process().stop();
  for (Peer& peer : peers) ASSERT_TRUE(peer.send("during"));
  const auto sentIn = Clock::now() - begin;
  std::this_thread::sleep_for(kIdle + milliseconds(100));
  server.process().resume();
  std::size_t served = 0;
  for (Peer& peer : peers) served += peer.receive(6) == "during" ? 1 : 0;
  // A machine so busy that sending took longer than the timeout proves nothing.
  EXPECT_TRUE(served == peers.size() || sentIn > kIdle) << served << " were served";
}

}  // namespace
}  // namespace gyre
