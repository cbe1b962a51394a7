// Limits by absolute time, in virtual time: read-idle timeouts, deadlines, and timeouts of weeks.
#include "sim/SimServerFixture.h"

namespace gyre {
namespace {

constexpr auto kDay = 24h;

class SimServerDeadlineTest : public SimServerFixture {
 protected:
  void startWith(const ConnectionTimeouts& timeouts, SimServerScript script = {}) {
    script.options.timeouts = timeouts;
    start(std::move(script));
  }
  // Sends something now and then for as long as it is connected.
  static ConnectionCallback pushing(Duration interval) {
    return [interval](const TcpConnectionPtr& connection) { push(connection, interval); };
  }
  static void push(const TcpConnectionPtr& connection, Duration interval) {
    if (!connection->connected()) return;
    connection->send("tick");
    connection->loop()->runAfter(interval, [connection, interval] { push(connection, interval); });
  }
  void expectOnly(CloseReason reason, Duration after) {
    ASSERT_EQ(overs(), 1u);
    EXPECT_EQ(endedBy(reason), 1u);
    EXPECT_EQ(timeouts(), 1u);
    EXPECT_GE(life(1).lasted(), after - kCoarse);
    EXPECT_LE(life(1).lasted(), after + kTick + kCoarse);
  }
};

// --- Read-idle

TEST_F(SimServerDeadlineTest, ReadIdle_endsASilentPeer_whileTheServerPushes) {
  startWith({.idle = 2s, .readIdle = 5s}, {.onUp = pushing(300ms)});
  client().connect(address()).awaitEnd().close();
  run(1min);
  expectOnly(CloseReason::ReadIdleTimeout, 5s);
  EXPECT_FALSE(clients()[0]->wasReset()) << "all was sent: gracefully";
}

TEST_F(SimServerDeadlineTest, ReadIdle_whoTalks_stays) {
  startWith({.readIdle = 5s});
  client().connect(address()).send(std::string(20, 'x'), {1, 4s}).awaitEnd().close();
  run(79s);
  EXPECT_EQ(overs(), 0u);
  run(1min);
  EXPECT_EQ(endedBy(CloseReason::ReadIdleTimeout), 1u);
  EXPECT_GE(life(1).lasted(), 76s + 5s - kCoarse);
}

TEST_F(SimServerDeadlineTest, ReadIdle_whileWeDoNotRead_doesNotCount_andBeginsAnew) {
  startWith({.readIdle = 5s}, {.onUp = [](const TcpConnectionPtr& connection) {
              connection->stopRead();
              connection->loop()->runAfter(20s, [connection] { connection->startRead(); });
            }});
  client().connect(address()).awaitEnd().close();
  run(1min);
  expectOnly(CloseReason::ReadIdleTimeout, 25s);
}

TEST_F(SimServerDeadlineTest, ReadIdle_afterThePeersEnd_doesNotCount) {
  startWith({.readIdle = 5s}, {.onHalfClose = [](const TcpConnectionPtr& connection) {
              connection->loop()->runAfter(20s, [connection] {
                connection->send("answer");
                connection->shutdown();
              });
            }});
  SimClient& asking = client();
  asking.connect(address()).halfClose().awaitEnd().close();
  run(1min);
  EXPECT_EQ(asking.received(), "answer");
  EXPECT_EQ(timeouts(), 0u);
}

// --- Deadlines

TEST_F(SimServerDeadlineTest, Deadline_aByteNowAndThen_doesNotOutliveIt) {
  startWith({.idle = 1s, .firstByte = 1s, .close = 1s},
            {.onUp = [](const TcpConnectionPtr& connection) { connection->setDeadline(5s); },
             .onMessage = [](const auto&, Buffer& in) { in.retrieveAll(); }});
  client().connect(address()).send(std::string(1000, 'x'), {1, 300ms});
  run(4900ms);
  EXPECT_TRUE(life(1).connection->connected());
  run(200ms + kTick);
  EXPECT_FALSE(life(1).connection->connected()) << "no message runs any more";
  run(1min);
  EXPECT_EQ(endedBy(CloseReason::LingerTimeout), 1u) << "it does not answer our FIN";
  EXPECT_LE(life(1).lasted(), 5s + 1s + 2 * kTick + kCoarse);
}

TEST_F(SimServerDeadlineTest, Deadline_isExact_forAllOfMany) {
  startWith({}, {.onUp = [](const TcpConnectionPtr& connection) {
              connection->setDeadline(10s);  // replaced, by an earlier and by a later one
              if (connection->id() % 2 == 0) return connection->setDeadline(3s);
              connection->setDeadline(connection->loop()->now() + 150s);
            }});
  for (int i = 0; i < 200; ++i) client().wait(7ms * i).connect(address()).awaitEnd().close();
  run(5min);
  EXPECT_EQ(endedBy(CloseReason::Deadline), 200u);
  for (const auto& [id, life] : lives()) {
    const Duration due = id % 2 == 0 ? Duration(3s) : Duration(150s);
    EXPECT_GE(life.lasted(), due - kCoarse) << id;
    EXPECT_LE(life.lasted(), due + kTick + kCoarse) << id;
  }
}

TEST_F(SimServerDeadlineTest, Deadline_setAndClearedByEachMessage_endsNobody_andCostsNoIteration) {
  startWith({},
            {.onMessage = [isOpen = false](const TcpConnectionPtr& connection, Buffer& in) mutable {
              in.retrieveAll();
              isOpen = !isOpen;
              isOpen ? connection->setDeadline(2s) : connection->clearDeadline();
            }});
  client().connect(address()).send(std::string(100, 'x'), {1, 1s}).wait(1h);
  run(10min);
  EXPECT_EQ(overs(), 0u);
  EXPECT_EQ(timeouts(), 0u);
}

TEST_F(SimServerDeadlineTest, Deadline_withOutputQueued_resets) {
  startWith({}, {.onUp = [](const TcpConnectionPtr& connection) {
              connection->send(std::string(1024 * 1024, 'x'));
              connection->setDeadline(5s);
            }});
  client().connect(address()).stall();
  run(1min);
  expectOnly(CloseReason::Deadline, 5s);
  EXPECT_EQ(life(1).error, ETIMEDOUT);
  EXPECT_FALSE(clients()[0]->hasEnded()) << "a part is not the whole";
}

TEST_F(SimServerDeadlineTest, Deadline_alsoWhileItFlushes) {
  startWith({}, {.onUp = [](const TcpConnectionPtr& connection) {
              connection->setDeadline(5s);
              connection->send(std::string(1024 * 1024, 'x'));
              connection->shutdown();
            }});
  client().connect(address()).stall();
  run(1min);
  expectOnly(CloseReason::Deadline, 5s);
}

TEST_F(SimServerDeadlineTest, Deadline_inThePast_isTheNextTick_andAHandleThatIsKeptMayCallIt) {
  startWith({}, {.onUp = [](const TcpConnectionPtr& connection) { connection->setDeadline(-1h); }});
  client().connect(address()).awaitEnd().close();
  run(10s);
  expectOnly(CloseReason::Deadline, 0s);
  life(1).connection->setDeadline(1s);
  life(1).connection->clearDeadline();
}

// --- Weeks

TEST_F(SimServerDeadlineTest, Weeks_everyTimeoutFires) {
  for (const auto days : {20, 30, 60, 120}) {
    SCOPED_TRACE(std::to_string(days) + " days");
    rebuild({});
    const std::chrono::hours limit = kDay * days;
    startWith({.idle = limit});
    client().connect(address()).send("x").awaitEnd().close();
    run(limit - 1min);
    EXPECT_EQ(overs(), 0u);
    run(2min);
    expectOnly(CloseReason::IdleTimeout, limit);
    destroyServer();
  }
}

TEST_F(SimServerDeadlineTest, Weeks_writeStall_deadline_andLinger) {
  const std::chrono::hours limit = kDay * 40;
  startWith({.writeStall = limit, .close = limit},
            {.onUp = [&](const TcpConnectionPtr& connection) {
              if (connection->id() == 1) connection->send(std::string(1024 * 1024, 'x'));
              if (connection->id() == 2) connection->setDeadline(limit);
              if (connection->id() == 3) connection->shutdown();
            }});
  client().connect(address()).stall();
  run(1s);
  client().connect(address()).awaitEnd().close();
  run(1s);
  client().connect(address());
  run(limit - 1min);
  EXPECT_EQ(overs(), 0u);
  run(2min);
  EXPECT_EQ(endedBy(CloseReason::WriteStall), 1u);
  EXPECT_EQ(endedBy(CloseReason::Deadline), 1u);
  EXPECT_EQ(endedBy(CloseReason::LingerTimeout), 1u);
}

// What was not sent for so long that a stamp would repeat does not hide that nothing comes any
// more.
TEST_F(SimServerDeadlineTest, Weeks_ofReceivingOnly_thenSilence_isIdleAfterADay) {
  startWith({.idle = kDay}, {.onMessage = [](const auto&, Buffer& in) { in.retrieveAll(); }});
  client().connect(address()).send(std::string(40, 'x'), {1, 20h}).awaitEnd().close();
  const Duration talks = 39 * 20h;  // 32 days
  run(talks + kDay - 1min);
  EXPECT_EQ(overs(), 0u);
  run(2min);
  EXPECT_EQ(endedBy(CloseReason::IdleTimeout), 1u);
}

TEST_F(SimServerDeadlineTest, Weeks_ofSilence_thenAByte_countsAnew) {
  const std::chrono::hours limit = kDay * 30;
  startWith({.idle = limit});
  client().connect(address()).wait(kDay * 29).send("x").awaitEnd().close();
  run(kDay * 58);
  EXPECT_EQ(overs(), 0u);
  run(kDay * 2);
  EXPECT_EQ(endedBy(CloseReason::IdleTimeout), 1u);
}

}  // namespace
}  // namespace gyre
