// run and wake: how long the one waits, and how the other ends that.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <string>
#include <thread>

#include "support/ConformanceFixture.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RunConformanceTest : public ConformanceTest {
 protected:
  // What one run() takes, by the engine's clock.
  Duration timeOf(TimePoint deadline) {
    const TimePoint start = proactor().now();
    loop().run(deadline);
    return proactor().now() - start;
  }
};

class WakeConformanceTest : public RunConformanceTest {};
// Without faults: those bring runs that nothing comes of.
class RestConformanceTest : public RunConformanceTest {};

// What this process has written so far, in system calls; -1 where the kernel does not tell.
long writesOfThisThread() {
  std::ifstream account("/proc/thread-self/io");
  std::string name;
  long value = 0;
  while (account >> name >> value) {
    if (name == "syscw:") return value;
  }
  return -1;
}

TEST_P(RunConformanceTest, Run_noWait_returnsAtOnce) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  for (int i = 0; i < 10; ++i) EXPECT_LT(timeOf(kNoWait), seconds(5));
  EXPECT_TRUE(receive.told().empty());
}

TEST_P(RunConformanceTest, Run_deadlineIsPast_returnsAtOnce) {
  EXPECT_LT(timeOf(proactor().now() - seconds(1)), seconds(5));
  EXPECT_LT(timeOf(TimePoint()), seconds(5));
}

TEST_P(RunConformanceTest, Run_nothingHappens_returnsAtTheDeadlineAndNotBefore) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  loop().settle();
  for (const auto wait : {std::chrono::microseconds(300), std::chrono::microseconds(20'000)}) {
    const TimePoint deadline = proactor().now() + wait;
    loop().run(deadline);
    EXPECT_GE(proactor().now(), deadline);
    EXPECT_LT(proactor().now(), deadline + seconds(5));
  }
}

TEST_P(RunConformanceTest, Run_theVeryFirst_returnsAtTheDeadlineAndNotBefore) {
  const TimePoint deadline = proactor().now() + milliseconds(5);
  loop().run(deadline);
  EXPECT_GE(proactor().now(), deadline);
}

TEST_P(RunConformanceTest, Run_nothingHappens_doesNotSpin) {
  loop().settle();
  const std::uint64_t before = loop().counters().enters.get();
  loop().run(proactor().now() + milliseconds(50));
  EXPECT_LE(loop().counters().enters.get() - before, 2U);
}

TEST_P(RunConformanceTest, Run_idleSockets_doesNotSpin) {
  std::vector<Link> links;
  std::vector<std::unique_ptr<ConformanceOperation>> receives;
  for (int i = 0; i < 20; ++i) {
    links.push_back(link());
    receives.push_back(std::make_unique<ConformanceOperation>(loop()));
    receives.back()->receive(links.back().near.get());
    // Half of them have something to tell that nobody wants.
    if (i % 2 == 0) continue;
    loop().cancel(*receives.back());
    receives.back()->join();
    links.back().far->sendSome("unwanted");
    links.back().far->halfClose();
  }
  loop().settle();
  const std::uint64_t before = loop().counters().enters.get();
  loop().run(proactor().now() + milliseconds(50));
  EXPECT_LE(loop().counters().enters.get() - before, 2U);
}

// Whatever an engine has to look at later, looking moves it on: no run finds it due again at once.
TEST_P(RestConformanceTest, Run_manyStalledPeers_goesRoundTwentyTimesASecondAtMost) {
  constexpr std::size_t kPeers = 500;
  const std::string large(kSendBytesMax, 's');
  const std::string text = patternBytes(2000);
  std::vector<Link> links;
  std::vector<std::unique_ptr<ConformanceOperation>> receives;
  std::vector<std::unique_ptr<ConformanceOperation>> sends;
  for (std::size_t i = 0; i < kPeers; ++i) {
    links.push_back(link(kTinyBuffers));
    receives.push_back(std::make_unique<ConformanceOperation>(loop()));
    receives.back()->receive(links.back().near.get());
    sends.push_back(std::make_unique<ConformanceOperation>(loop()));
    sends.back()->send(links.back().near.get(), large);
  }
  // All at once, so that the receive buffers grow in number and are to be trimmed later.
  for (Link& each : links) ASSERT_EQ(each.far->sendSome(text), text.size());
  ASSERT_TRUE(loop().runUntil([&] {
    return std::all_of(receives.begin(), receives.end(),
                       [&](const auto& receive) { return receive->data().size() == text.size(); });
  }));
  loop().settle();
  // What the set-up has left comes late on a busy machine, and then no more: a look that is due
  // again at once would go round in every second.
  std::uint64_t enters = 0;
  int runs = 21;
  for (int second = 0; second < 10 && (runs > 20 || enters > 20); ++second) {
    const std::uint64_t before = loop().counters().enters.get();
    runs = 0;
    for (const TimePoint end = proactor().now() + seconds(1); proactor().now() < end; ++runs) {
      loop().run(end);
    }
    enters = loop().counters().enters.get() - before;
  }
  EXPECT_LE(runs, 20);
  EXPECT_LE(enters, 20U);
  for (const auto& send : sends) EXPECT_TRUE(send->isInFlight());
}

TEST_P(RunConformanceTest, Wake_beforeRun_theRunDoesNotWait) {
  loop().settle();
  proactor().wake();
  EXPECT_LT(timeOf(proactor().now() + seconds(20)), seconds(10));
}

TEST_P(RunConformanceTest, Wake_beforeRun_countsOnce) {
  for (int i = 0; i < 100; ++i) proactor().wake();
  EXPECT_LT(timeOf(proactor().now() + seconds(20)), seconds(10));
  loop().settle();
  EXPECT_GE(timeOf(proactor().now() + milliseconds(5)), milliseconds(4));
}

TEST_P(RunConformanceTest, Wake_insideAHandler_theNextRunDoesNotWait) {
  Link pair = link();
  ConformanceOperation send(loop());
  send.onCompletion = [&](const IoResult&) { proactor().wake(); };
  send.send(pair.near.get(), "x");
  send.join();
  EXPECT_LT(timeOf(proactor().now() + seconds(20)), seconds(10));
}

// Of as many as it takes to fill every batch, queue and pool on the way several times.
TEST_P(WakeConformanceTest, CaughtUpAt_reachesAMoment_whenAllThatHadComeByThenIsDispatched) {
  constexpr std::size_t kPeers = 1200;
  std::vector<Link> links;
  std::vector<std::unique_ptr<ConformanceOperation>> receives;
  std::size_t received = 0;
  for (std::size_t i = 0; i < kPeers; ++i) {
    links.push_back(link());
    receives.push_back(std::make_unique<ConformanceOperation>(loop()));
    receives.back()->onCompletion = [&](const IoResult& result) { received += result.bytes; };
    receives.back()->receive(links.back().near.get());
  }
  loop().settle();
  for (int round = 0; round < 3; ++round) {
    received = 0;
    for (Link& each : links) ASSERT_EQ(each.far->sendSome("x"), 1U);
    const TimePoint moment = proactor().now();
    int runs = 0;
    while (proactor().caughtUpAt() < moment && ++runs < 100'000) loop().run(moment);
    EXPECT_EQ(received, kPeers) << "after " << runs << " runs";
    EXPECT_LT(runs, 100'000);
  }
}

TEST_P(WakeConformanceTest, Wake_fromAnotherThread_endsTheWait) {
  loop().settle();
  std::thread other([&engine = proactor()] {
    std::this_thread::sleep_for(milliseconds(20));  // most likely it waits by then
    engine.wake();
  });
  EXPECT_LT(timeOf(proactor().now() + seconds(20)), seconds(10));
  other.join();
}

// Only a wake() that finds the loop asleep pays a system call.
TEST_P(RunConformanceTest, Wake_whileItRuns_writesNothing) {
  const long before = writesOfThisThread();
  if (before < 0) GTEST_SKIP() << "/proc/thread-self/io does not tell: no task I/O accounting";
  Link pair = link();
  ConformanceOperation send(loop());
  long during = 0;
  send.onCompletion = [&](const IoResult&) {
    const long start = writesOfThisThread();
    for (int i = 0; i < 1000; ++i) proactor().wake();
    during = writesOfThisThread() - start;
  };
  send.send(pair.near.get(), "x");
  send.join();
  EXPECT_EQ(during, 0);
}

// Ping-pong, so that wake() meets every moment between going to sleep and waking up. A lost one
// would leave the loop waiting for its deadline.
TEST_P(WakeConformanceTest, Wake_manyThreads_noneIsLost) {
  constexpr int kThreads = 3;
  constexpr int kRounds = 3000;
  std::atomic<int> asked{0};
  std::atomic<int> answered{0};
  Proactor& engine = proactor();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const int mine = asked.fetch_add(1, std::memory_order_release) + 1;
        engine.wake();
        while (answered.load(std::memory_order_acquire) < mine) std::this_thread::yield();
      }
    });
  }
  bool lost = false;
  while (answered.load(std::memory_order_relaxed) < kThreads * kRounds && !lost) {
    const TimePoint deadline = proactor().now() + seconds(20);
    loop().run(deadline);
    lost = proactor().now() >= deadline;
    answered.store(asked.load(std::memory_order_acquire), std::memory_order_release);
  }
  EXPECT_FALSE(lost);
  answered.store(kThreads * kRounds, std::memory_order_release);
  for (std::thread& thread : threads) thread.join();
}

// The same beside data: what wakes the loop must not be taken for the other.
TEST_P(WakeConformanceTest, Wake_besideTraffic_neitherIsLost) {
  constexpr int kRounds = 2000;
  Link pair = link();
  ConformanceOperation receive(loop());
  std::atomic<int> asked{0};
  receive.receive(pair.near.get());
  std::thread other([&, &engine = proactor()] {
    for (int i = 0; i < kRounds; ++i) {
      asked.fetch_add(1, std::memory_order_release);
      engine.wake();
      while (pair.far->sendSome("x") != 1) std::this_thread::yield();
    }
  });
  bool lost = false;
  while (!lost &&
         (receive.data().size() < kRounds || asked.load(std::memory_order_acquire) < kRounds)) {
    const TimePoint deadline = proactor().now() + seconds(20);
    loop().run(deadline);
    lost = proactor().now() >= deadline;
  }
  EXPECT_FALSE(lost);
  other.join();
}

INSTANTIATE_TEST_SUITE_P(Engines, RunConformanceTest, testing::ValuesIn(conformanceEngines()),
                         conformanceEngineName);
INSTANTIATE_TEST_SUITE_P(Engines, RestConformanceTest,
                         testing::ValuesIn(undisturbedConformanceEngines()), conformanceEngineName);
INSTANTIATE_TEST_SUITE_P(Engines, WakeConformanceTest,
                         testing::ValuesIn(kernelConformanceEngines()), conformanceEngineName);

}  // namespace
}  // namespace gyre
