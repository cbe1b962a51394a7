// Floods of connects in virtual time: more at once than the backlog holds, than the server admits,
// than there are descriptors. Nobody is lost: each is served, refused, or told so by its own
// kernel.
#include <algorithm>

#include "sim/SimServerFixture.h"

namespace gyre {
namespace {

class SimServerFloodTest : public SimServerFixture {
 protected:
  // All at the same instant; each wants an echo, stays for a while and goes.
  void flood(std::size_t count, Duration stay = 0ms) {
    for (std::size_t i = 0; i < count; ++i) {
      client().connect(address()).send("hello").awaitBytes(5).wait(stay).close();
    }
  }
  std::size_t served() const {
    std::size_t number = 0;
    for (const auto& one : clients()) number += one->received() == "hello" ? 1 : 0;
    return number;
  }
  // Ended or reset before anything was said: the server, or its kernel, turned it away.
  std::size_t turnedAway() const {
    std::size_t number = 0;
    for (const auto& one : clients()) {
      number += one->received().empty() && one->isFinished() && one->connectError() == 0 ? 1 : 0;
    }
    return number;
  }
};

TEST_F(SimServerFloodTest, MoreThanTheBacklogHolds_allAreServed_theLateOnesAfterTheirNextSyn) {
  start({.listen = {.backlog = 64}});
  flood(2000);
  run(500ms);
  const std::size_t atOnce = served();
  EXPECT_GE(atOnce, 64u);
  run(3min);
  EXPECT_EQ(served(), 2000u);
  EXPECT_EQ(stats().accepted, 2000u);
  EXPECT_EQ(endedBy(CloseReason::PeerClosed), 2000u);
}

TEST_F(SimServerFloodTest, ServerStandsStill_whoDoesNotFitWaitsOrIsTold_nobodyIsLost) {
  start({.listen = {.backlog = 50}});
  loop().queueInLoop([this] { run(2min + 30s); });  // longer than a SYN is repeated
  flood(500);
  run(5min);
  std::size_t timedOut = 0;
  for (const auto& one : clients()) timedOut += one->connectError() == ETIMEDOUT ? 1 : 0;
  EXPECT_EQ(served(), 50u);
  EXPECT_EQ(timedOut, 450u);
  EXPECT_EQ(stats().accepted, 50u);
}

TEST_F(SimServerFloodTest, ConnectionsMax_waiting_allAreServed_neverMoreThanThatAtOnce) {
  std::size_t most = 0;
  start({.limits = {.connectionsMax = 50}, .listen = {.backlog = 4096}});
  flood(500, 100ms);
  ASSERT_TRUE(runUntil([&] {
    most = std::max(most, server().connectionCount());
    return served() == 500;
  }));
  run(1s);
  EXPECT_EQ(most, 50u);
  EXPECT_EQ(overs(), 500u);
  EXPECT_EQ(stats().accepted, 500u);
  EXPECT_EQ(stats().refusedByConnections, 0u);
}

TEST_F(SimServerFloodTest, ConnectionsMax_waitingBehindASmallBacklog_allAreServed) {
  start({.limits = {.connectionsMax = 20}, .listen = {.backlog = 20}});
  flood(300, 50ms);
  run(10min);
  // All that do not fit knock again at the same moments, and seven times.
  std::size_t timedOut = 0;
  for (const auto& one : clients()) timedOut += one->connectError() == ETIMEDOUT ? 1 : 0;
  EXPECT_EQ(served() + timedOut, 300u);
  EXPECT_GE(served(), 7u * 40);
  EXPECT_EQ(stats().accepted, served());
}

TEST_F(SimServerFloodTest, ConnectionsMax_refusing_eachIsServedOrTold_andAllAreCounted) {
  start({.limits = {.connectionsMax = 100, .atConnectionsMax = OverloadPolicy::Refuse}});
  flood(3000, 1s);
  run(1min);
  const ServerStats now = stats();
  EXPECT_EQ(now.accepted, 3000u);
  EXPECT_EQ(now.refusedByConnections + ups(), 3000u);
  EXPECT_GE(ups(), 100u);
  EXPECT_EQ(served(), ups());
  EXPECT_EQ(turnedAway(), now.refusedByConnections);
  EXPECT_EQ(now.connections, 0u);
}

TEST_F(SimServerFloodTest, PerAddress_theSameFromOneAddress) {
  start({.limits = {.connectionsPerAddressMax = 30}});
  flood(500, 1s);
  run(1min);
  EXPECT_EQ(stats().refusedByAddress + ups(), 500u);
  EXPECT_EQ(served(), ups());
  EXPECT_GE(ups(), 30u);
  SimClient& late = connect();
  late.send("hello").awaitBytes(5);
  run(1s);
  EXPECT_EQ(late.received(), "hello") << "those that left are forgotten";
}

TEST_F(SimServerFloodTest, OutOfDescriptors_theOthersWait_andAllAreServed) {
  SimOptions options;
  options.descriptorsMax = 20;
  rebuild(options);
  start();
  flood(400, 10ms);
  run(2min);
  EXPECT_EQ(served(), 400u);
  EXPECT_EQ(overs(), 400u);
  EXPECT_GT(network().statistics()[SimFault::AcceptNoDescriptors], 0u);
  EXPECT_LT(network().statistics()[SimFault::AcceptNoDescriptors], 1000u) << "or it spins";
}

TEST_F(SimServerFloodTest, ResetBeforeTheyAreAccepted_costNothing_andThePlaceIsFreeAgain) {
  start({.limits = {.connectionsMax = 10}});
  loop().queueInLoop([this] { run(1s); });
  for (int i = 0; i < 500; ++i) client().connect(address()).send("x").wait(1ms).reset();
  run(1min);
  EXPECT_EQ(overs(), ups());
  EXPECT_EQ(stats().accepted + loop().counters().acceptsAborted.get(), 500u);
  EXPECT_EQ(server().connectionCount(), 0u);
  const std::size_t before = clients().size();
  flood(20);
  run(1min);
  for (std::size_t i = before; i < clients().size(); ++i) {
    EXPECT_EQ(clients()[i]->received(), "hello");
  }
}

TEST_F(SimServerFloodTest, ComingAndGoing_thousandsASecond_everyCounterReturns) {
  start({.limits = {.connectionsMax = 30, .connectionsPerAddressMax = 1000},
         .listen = {.backlog = 100}});
  for (int i = 0; i < 2400; ++i) {
    SimClient& one = client();
    one.wait(200us * i).connect(address()).send("hello");
    if (i % 3 == 0) one.reset();
    if (i % 3 == 1) one.awaitBytes(5).close();
    if (i % 3 == 2) one.halfClose().awaitEnd().close();
  }
  run(5min);
  const ServerStats now = stats();
  EXPECT_EQ(now.connections, 0u);
  EXPECT_EQ(overs(), ups());
  EXPECT_EQ(now.accepted, ups());
  EXPECT_EQ(now.bytesHeld, 0u);
  std::size_t answered = 0;
  for (std::size_t i = 0; i < 2400; ++i) {
    if (i % 3 != 0) answered += clients()[i]->received() == "hello" ? 1 : 0;
  }
  EXPECT_EQ(answered, 1600u) << "who did not reset was served";
}

// One that waits beyond connectionsMax has gone when its turn comes.
TEST_F(SimServerFloodTest, WaitingOnesThatGoMeanwhile_areNotInTheWayOfTheOthers) {
  start({.limits = {.connectionsMax = 1}});
  SimClient& first = client();
  first.connect(address()).send("hello").wait(10s).close();
  run(10ms);
  for (int i = 0; i < 100; ++i) {
    SimClient& one = client();
    one.connect(address()).wait(1s);
    if (i % 2 == 0) one.reset();
    if (i % 2 == 1) one.close();
  }
  run(100ms);
  SimClient& last = client();
  last.connect(address()).send("hello").awaitBytes(5).close();
  run(1min);
  EXPECT_EQ(last.received(), "hello");
  EXPECT_EQ(overs(), ups());
}

}  // namespace
}  // namespace gyre
