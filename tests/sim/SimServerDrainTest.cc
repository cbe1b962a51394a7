// Draining a server in virtual time: at its deadline, before it, and with clients in every state.
#include "sim/SimServerFixture.h"

namespace gyre {
namespace {

class SimServerDrainTest : public SimServerFixture {
 protected:
  void drain(TimeSpan limit) {
    drainedAt_ = now();
    // On the loop, where a signal's handler says it.
    loop().queueInLoop([this, limit] {
      server().drain(limit, [this] {
        ++told_;
        doneAt_ = now();
      });
    });
  }
  Duration lasted() const { return doneAt_ - drainedAt_; }
  // Connections that nobody ends: these tests are about the deadline, or about other limits.
  static ConnectionOptions staying(ConnectionTimeouts timeouts = {}) {
    timeouts.drainIdle = {};
    return {.timeouts = timeouts};
  }
  void crowd(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) client().connect(address()).awaitEnd().close();
    ASSERT_TRUE(runUntil([&] { return ups() == count; }));
    run(1ms);
  }

  int told_ = 0;
  TimePoint drainedAt_;
  TimePoint doneAt_;
};

TEST_F(SimServerDrainTest, WhoNeverEnds_isClosedAtTheDeadline_notEarlier) {
  start({.options = staying()});
  crowd(500);
  drain(30s);
  run(30s - 1ms);
  EXPECT_EQ(told_, 0);
  EXPECT_EQ(overs(), 0u);
  run(1s);
  EXPECT_EQ(told_, 1);
  EXPECT_GE(lasted(), 30s);
  EXPECT_LE(lasted(), 30s + kCoarse) << "stopping them takes no time";
  EXPECT_EQ(endedBy(CloseReason::Aborted), 500u);
}

// Each of these was "at once" where it overflowed.
TEST_F(SimServerDrainTest, NoLimit_zeroOrBeyondTheClock_waitsForTheLastToGo) {
  constexpr std::chrono::hours k300Years{24 * 365 * 300};
  for (const TimeSpan never : {TimeSpan(std::chrono::milliseconds::max()), TimeSpan(k300Years),
                               TimeSpan(Duration::max()), TimeSpan(0ms), TimeSpan(-1s)}) {
    rebuild({});
    told_ = 0;
    start({.options = staying()});
    client().connect(address()).wait(24h * 400).close();
    ASSERT_TRUE(runUntil([&] { return ups() == 1; }));
    drain(never);
    run(24h * 365);
    EXPECT_EQ(told_, 0);
    EXPECT_EQ(overs(), 0u);
    run(24h * 50);
    EXPECT_EQ(told_, 1);
  }
}

TEST_F(SimServerDrainTest, AllGoEarly_itIsDoneWithTheLast_andTheDeadlineNeverComes) {
  start({.options = staying()});
  for (int i = 1; i <= 20; ++i) client().connect(address()).wait(1s * i).close();
  run(10ms);
  ASSERT_EQ(ups(), 20u);
  drain(1h);
  run(2h);
  EXPECT_EQ(told_, 1);
  EXPECT_GE(lasted(), 19s);
  EXPECT_LE(lasted(), 20s + kCoarse);
  EXPECT_EQ(endedBy(CloseReason::PeerClosed), 20u);
}

TEST_F(SimServerDrainTest, WithoutConnections_isDoneAtOnce) {
  start();
  drain(1h);
  run(1s);
  EXPECT_EQ(told_, 1);
  EXPECT_LE(lasted(), 1ms);
}

TEST_F(SimServerDrainTest, Callback_saysGoodbye_andEachGetsAllThatItIsOwed) {
  const std::string answer(500'000, 'a');
  std::size_t drained = 0;
  start({.onMessage =
             [&answer](const TcpConnectionPtr& connection, Buffer& in) {
               in.retrieveAll();
               connection->send(answer);
             },
         .onDrain =
             [&drained](const TcpConnectionPtr& connection) {
               ++drained;
               connection->send("goodbye");
               connection->shutdown();
             }});
  crowd(10);
  // In the middle of an answer, which they read slowly.
  for (int i = 0; i < 10; ++i) {
    client().setReadPace({16 * 1024, 100ms}).connect(address()).send("?").awaitEnd().close();
  }
  run(1s);
  ASSERT_EQ(ups(), 20u);
  drain(1h);
  run(2h);
  EXPECT_EQ(drained, 20u);
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(endedBy(CloseReason::Shutdown), 20u);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(clients()[i]->received(), i < 10 ? "goodbye" : answer + "goodbye");
    EXPECT_TRUE(clients()[i]->hasEnded() && !clients()[i]->wasReset());
  }
  EXPECT_GE(lasted(), 1s) << "it waited for the slow ones";
  EXPECT_LE(lasted(), 10s);
}

TEST_F(SimServerDrainTest, WhoNeverReadsTheGoodbye_isClosedAtTheDeadline) {
  start({.options = {.timeouts = {.close = 1h}}, .onDrain = [](const TcpConnectionPtr& connection) {
           connection->send(std::string(1'000'000, 'x'));
           connection->shutdown();
         }});
  for (int i = 0; i < 50; ++i) client().connect(address()).stall();
  crowd(0);
  run(1s);
  ASSERT_EQ(ups(), 50u);
  drain(10s);
  run(9s);
  EXPECT_EQ(overs(), 0u);
  run(2s);
  EXPECT_EQ(overs(), 50u);
  EXPECT_EQ(told_, 1);
  EXPECT_LE(lasted(), 10s + kCoarse);
}

TEST_F(SimServerDrainTest, NobodyNewGetsIn_whoWaitsInTheBacklogIsReset_whoComesLaterIsRefused) {
  start({.options = staying(), .limits = {.connectionsMax = 5}});
  for (int i = 0; i < 20; ++i) client().connect(address()).wait(1min).close();
  run(1s);
  ASSERT_EQ(ups(), 5u);
  const InetAddress address = this->address();
  drain(2min);
  run(1s);
  SimClient& late = client();
  late.connect(address);
  run(1s);
  EXPECT_EQ(late.connectError(), ECONNREFUSED);
  std::size_t turnedAway = 0;
  for (const auto& one : clients()) turnedAway += one->wasReset() || one->hasEnded() ? 1 : 0;
  EXPECT_EQ(turnedAway, 15u) << "they know at once";
  run(2min);
  EXPECT_EQ(ups(), 5u);
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(endedBy(CloseReason::PeerClosed), 5u);
}

TEST_F(SimServerDrainTest, WithTimeouts_theIdleGoBeforeTheDeadline) {
  start({.options = staying({.idle = 5s})});
  crowd(100);
  SimClient& busy = client();
  busy.connect(address()).send(std::string(20, 'x'), {1, 1s}).awaitBytes(20).close();
  run(10ms);
  drain(1h);
  run(2h);
  EXPECT_EQ(endedBy(CloseReason::IdleTimeout), 100u);
  EXPECT_EQ(endedBy(CloseReason::PeerClosed), 1u);
  EXPECT_EQ(busy.received(), std::string(20, 'x')) << "it was served to its end";
  EXPECT_GE(lasted(), 18s);
  EXPECT_LE(lasted(), 21s);
}

TEST_F(SimServerDrainTest, InEveryState_eachEndsOnce) {
  start({.options = {.timeouts = {.close = 3s}},
         .onUp =
             [](const TcpConnectionPtr& connection) {
               switch (connection->id() % 6) {
                 case 0: connection->shutdown(); break;
                 case 1: connection->send(std::string(1'000'000, 'x')); break;
                 case 2: connection->stopRead(); break;
                 case 3: connection->shutdownWrite(); break;
                 case 4: connection->forceClose(); break;
                 default: break;
               }
             },
         .onHalfClose = [](const TcpConnectionPtr&) {},
         .onDrain =
             [](const TcpConnectionPtr& connection) {
               if (connection->id() % 4 == 0) connection->shutdown();
               if (connection->id() % 4 == 1) connection->forceClose();
             }});
  for (int i = 0; i < 200; ++i) {
    SimClient& one = client();
    one.connect(address()).send("hello");
    if (i % 5 == 0) one.halfClose();
    if (i % 7 == 0) one.stall();
    if (i % 11 == 0) one.wait(11s).reset();
    if (i % 3 == 0) one.awaitEnd().close();
  }
  run(1s);
  ASSERT_EQ(ups(), 200u);
  drain(20s);
  run(1min);
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(overs(), 200u);
  EXPECT_GE(lasted(), 20s);
  EXPECT_LE(lasted(), 20s + kCoarse);
  EXPECT_EQ(server().connectionCount(), 0u);
}

TEST_F(SimServerDrainTest, StoppedBeyondTheDeadline_whoWasAboutToGoIsStillServed) {
  start({.onDrain = [](const TcpConnectionPtr& connection) { connection->send("bye"); }});
  for (int i = 0; i < 30; ++i) client().connect(address()).awaitBytes(3).wait(1s).close();
  run(10ms);
  drain(30s);
  run(1ms);
  stopFor(1h);
  run(1s);
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(overs(), 30u);
  for (const auto& one : clients()) EXPECT_EQ(one->received(), "bye");
}

}  // namespace
}  // namespace gyre
