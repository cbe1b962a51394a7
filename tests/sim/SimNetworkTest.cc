#include "sim/SimFixture.h"

namespace gyre {
namespace {

TEST(SimNetworkTest, Now_nothingHappens_standsStill) {
  SimNetwork network;
  const TimePoint begin = network.now();
  EXPECT_GT(begin.time_since_epoch(), Duration::zero());
  EXPECT_FALSE(network.step());
  EXPECT_FALSE(network.runUntil([] { return false; }, 1h));
  EXPECT_EQ(network.now(), begin);
}

TEST(SimNetworkTest, RunFor_aYear_takesExactlyAYearOfVirtualTime) {
  SimNetwork network;
  const TimePoint begin = network.now();
  network.runFor(std::chrono::hours(24 * 365));
  EXPECT_EQ(network.now() - begin, std::chrono::hours(24 * 365));
}

TEST(SimNetworkTest, AddLoop_deadlines_areKeptToTheNanosecond) {
  SimNetwork network;
  const auto engine = network.makeProactor("engine");
  std::vector<Duration> times;
  const TimePoint begin = network.now();
  network.addLoop(*engine, [&] {
    times.push_back(network.now() - begin);
    engine->run(begin + static_cast<int>(times.size()) * 10s);
  });
  network.runFor(35s);
  EXPECT_THAT(times, testing::ElementsAre(0s, 10s, 20s, 30s));
}

TEST(SimNetworkTest, AddLoop_stepRunsNoEngine_isNeverSteppedAgain) {
  SimNetwork network;
  const auto engine = network.makeProactor("engine");
  int steps = 0;
  network.addLoop(*engine, [&] {
    if (++steps < 3) engine->run(kNoWait);
  });
  network.runFor(10s);
  EXPECT_EQ(steps, 3);
}

TEST(SimNetworkTest, AddLoop_engineDies_isNeverSteppedAgain) {
  SimNetwork network;
  auto engine = network.makeProactor("engine");
  int steps = 0;
  network.addLoop(*engine, [&] {
    ++steps;
    engine->run(network.now() + 1s);
  });
  network.runFor(1500ms);
  EXPECT_EQ(steps, 2);
  engine.reset();
  network.runFor(10s);
  EXPECT_EQ(steps, 2);
}

TEST(SimNetworkTest, Wake_waitingEngine_runsAgain) {
  SimNetwork network;
  const auto engine = network.makeProactor("engine");
  int steps = 0;
  network.addLoop(*engine, [&] {
    ++steps;
    engine->run(kForever);
  });
  network.runFor(1s);
  EXPECT_EQ(steps, 1);
  engine->wake();
  network.runFor(1s);
  EXPECT_GE(steps, 2);
  EXPECT_LE(steps, 3) << "and then it rests";
}

TEST(SimNetworkTest, Run_outsideOfAStep_waitsVirtually) {
  SimNetwork network;
  const auto engine = network.makeProactor("engine");
  const TimePoint begin = network.now();
  engine->run(begin + 3600s);
  EXPECT_EQ(network.now() - begin, 3600s);
  engine->run(kNoWait);
  EXPECT_EQ(network.now() - begin, 3600s);
  engine->wake();
  engine->run(kForever);
  EXPECT_EQ(network.now() - begin, 3600s);
}

TEST(SimNetworkTest, Run_outsideOfAStep_stepsTheOtherLoops) {
  SimNetwork network;
  const auto engine = network.makeProactor("engine");
  const auto other = network.makeProactor("other");
  int steps = 0;
  network.addLoop(*other, [&] {
    ++steps;
    other->run(network.now() + 1s);
    if (steps == 5) engine->wake();
  });
  engine->run(kForever);
  EXPECT_EQ(steps, 5);
}

TEST(SimNetworkTest, Run_secondTimeInAStep_waitsVirtually) {
  SimNetwork network;
  const auto engine = network.makeProactor("engine");
  const TimePoint begin = network.now();
  std::vector<Duration> times;
  network.addLoop(*engine, [&] {
    engine->run(begin + 1s);
    times.push_back(network.now() - begin);
    engine->run(begin + 1s);
    times.push_back(network.now() - begin);
    engine->run(kNoWait);
    times.push_back(network.now() - begin);
  });
  ASSERT_TRUE(network.step());
  EXPECT_THAT(times, testing::ElementsAre(0s, 1s, 1s));
}

TEST(SimNetworkTest, Run_outsideOfAStep_doesNotStepItsOwnLoop) {
  SimNetwork network;
  const auto engine = network.makeProactor("engine");
  bool isRunning = false;
  network.addLoop(*engine, [&] {
    EXPECT_FALSE(isRunning);
    engine->run(kForever);
  });
  const TimePoint begin = network.now();
  isRunning = true;
  engine->run(begin + 1s);
  isRunning = false;
  EXPECT_EQ(network.now() - begin, 1s);
  EXPECT_TRUE(network.step());
}

TEST(SimNetworkTest, Run_waitsForEverInAStep_returns) {
  SimNetwork network;
  const auto engine = network.makeProactor("engine");
  int runs = 0;
  network.addLoop(*engine, [&] {
    for (; runs < 5; ++runs) engine->run(kForever);
  });
  EXPECT_TRUE(network.step());
  EXPECT_EQ(runs, 5);
}

TEST(SimNetworkTest, Step_seed_decidesWhoRunsFirst) {
  std::array<int, 2> first{};
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimNetwork network({.seed = seed});
    const auto one = network.makeProactor("one");
    const auto two = network.makeProactor("two");
    std::vector<int> order;
    network.addLoop(*one, [&] { order.push_back(0), one->run(kForever); });
    network.addLoop(*two, [&] { order.push_back(1), two->run(kForever); });
    network.runFor(1s);
    ASSERT_EQ(order.size(), 2u);
    ++first[static_cast<std::size_t>(order.front())];
  }
  EXPECT_GT(first[0], 20);
  EXPECT_GT(first[1], 20);
}

TEST(SimNetworkTest, SignalEvent_wakesTheReader) {
  SimNetwork network;
  const auto engine = network.makeProactor("engine");
  network.addLoop(*engine, [&] { engine->run(kForever); });
  const int fd = network.openEvent();
  const SocketHandle handle = engine->adopt(fd);
  std::array<char, 8> into;
  SimRecorder read;
  engine->read(read.context, handle, into);
  network.runFor(1s);
  EXPECT_FALSE(network.step()) << "everything waits";
  network.signalEvent(fd, 1);
  EXPECT_TRUE(network.runUntil([&] { return read.hasEnded(); }, 1s));
  engine->close(handle);
  EXPECT_EQ(network.statistics().socketsOpen(), 0u);
}

}  // namespace
}  // namespace gyre
