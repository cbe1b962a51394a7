// Accepting when there is no descriptor left: it pauses, and goes on by itself.
#include <fcntl.h>
#include <sys/resource.h>

#include <deque>
#include <functional>

#include "gyre/base/Log.h"
#include "support/ConformanceFixture.h"
#include "support/RunDelay.h"

namespace gyre {
namespace {

// Leaves room for `free` more descriptors in this process. Logging is off from then on: the
// sanitizer looks at the formatter's objects through a pipe, for which there is none left.
void limitDescriptors(int free) {
  setLogLevel(LogLevel::Off);
  int limit = 0;
  for (; free > 0 || ::fcntl(limit, F_GETFD) >= 0; ++limit) {
    if (::fcntl(limit, F_GETFD) < 0) --free;
  }
  rlimit limits{};
  EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &limits), 0);
  limits.rlim_cur = static_cast<rlim_t>(limit);
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limits), 0);
}

// After six failures in a row the back-off is 320 ms: what comes sooner was caused by an event.
constexpr std::uint64_t kFailures = 6;
constexpr std::chrono::milliseconds kSoon{250};

// Each runs in a child process: the limit is the process's.
class ExhaustionConformanceTest : public ConformanceTest {
 protected:
  // Keeps what is accepted.
  void keep(ConformanceOperation& accept) {
    accept.onCompletion = [this](const IoResult& result) {
      if (result.more) taken_.emplace_back(loop(), result.socket);
    };
  }
  const LoopCounters& counters() { return loop().counters(); }
  void exhaustAndRecover();
  void cancelPaused(const std::function<void(ConformanceOperation&, SocketHandle)>& cancel);

  std::deque<ConformanceSocket> taken_;
};

// Twelve clients, four descriptors: accepting stops without spinning, and each close lets one in.
void ExhaustionConformanceTest::exhaustAndRecover() {
  ConformanceSocket listener = listen();
  const InetAddress address = proactor().localAddress(listener.get());
  std::vector<std::unique_ptr<ConformancePeer>> clients;
  for (int i = 0; i < 12; ++i) clients.push_back(world().connectTo(address));
  ConformanceOperation accept(loop());
  keep(accept);
  limitDescriptors(4);
  accept.accept(listener.get());
  EXPECT_TRUE(loop().runUntil([&] { return counters().acceptsNoDescriptors.get() > 0; }));
  EXPECT_EQ(taken_.size(), 4U);
  const TimePoint until = proactor().now() + std::chrono::milliseconds(100);
  while (proactor().now() < until) loop().run(until);
  EXPECT_LE(counters().acceptsNoDescriptors.get(), 8U) << "the back-off doubles: 10, 20, 40 ms";
  EXPECT_TRUE(accept.isInFlight());
  // The next try is 80 ms away or more by now: what comes sooner comes from the close.
  const std::uint64_t tries = counters().acceptsNoDescriptors.get();
  taken_.pop_front();
  EXPECT_TRUE(loop().runUntil([&] { return taken_.size() == 4; }));
  EXPECT_LE(counters().acceptsNoDescriptors.get(), tries + 1);
  for (std::uint64_t accepted = 5; accepted < 12; ++accepted) {
    EXPECT_EQ(counters().accepts.get(), accepted);
    taken_.pop_front();
    EXPECT_TRUE(loop().runUntil([&] { return taken_.size() == 4; }));
  }
  loop().cancel(accept);
  EXPECT_EQ(accept.join().error, ECANCELED);
  taken_.clear();
}

TEST_P(ExhaustionConformanceTest, Accept_noDescriptorsLeft_pausesAndGoesOnWithTheFirstClose) {
  runInChild([this] { exhaustAndRecover(); });
}

// Both the cancel of the accept and of all on the listener end what is paused, at once.
void ExhaustionConformanceTest::cancelPaused(
    const std::function<void(ConformanceOperation&, SocketHandle)>& cancel) {
  const RunDelay runDelay;
  ConformanceSocket listener = listen();
  const auto client = world().connectTo(proactor().localAddress(listener.get()));
  ConformanceOperation accept(loop());
  limitDescriptors(0);
  accept.accept(listener.get());
  EXPECT_TRUE(loop().runUntil([&] { return counters().acceptsNoDescriptors.get() >= kFailures; }));
  const std::chrono::nanoseconds delayed = runDelay.get();
  const TimePoint start = proactor().now();
  cancel(accept, listener.get());
  EXPECT_TRUE(accept.told().empty());
  loop().run(start + std::chrono::seconds(10));
  loop().run(kNoWait);
  EXPECT_TRUE(accept.hasEnded());
  EXPECT_LT(proactor().now() - start - (runDelay.get() - delayed), kSoon)
      << "it waited for the back-off";
  EXPECT_EQ(accept.join().error, ECANCELED);
}

TEST_P(ExhaustionConformanceTest, Cancel_acceptThatPaused_endsAtOnce) {
  runInChild([this] {
    cancelPaused([this](ConformanceOperation& accept, SocketHandle) { loop().cancel(accept); });
  });
}

TEST_P(ExhaustionConformanceTest, CancelAll_acceptThatPaused_endsAtOnce) {
  runInChild([this] {
    cancelPaused(
        [this](ConformanceOperation&, SocketHandle listener) { loop().cancelAll(listener); });
  });
}

// No close says that the limit was raised from outside: the back-off alone helps.
TEST_P(ExhaustionConformanceTest, Accept_limitIsRaised_goesOnByItself) {
  runInChild([this] {
    ConformanceSocket listener = listen();
    const auto client = world().connectTo(proactor().localAddress(listener.get()));
    ConformanceOperation accept(loop());
    keep(accept);
    limitDescriptors(0);
    accept.accept(listener.get());
    EXPECT_TRUE(loop().runUntil([&] { return counters().acceptsNoDescriptors.get() > 0; }));
    limitDescriptors(8);
    EXPECT_TRUE(loop().runUntil([&] { return taken_.size() == 1; }));
    loop().cancel(accept);
    accept.join();
    taken_.clear();
  });
}

// Another loop's close is as good as an own one.
TEST_P(ExhaustionConformanceTest, Accept_anotherLoopCloses_goesOnAtOnce) {
  runInChild([this] {
    const RunDelay runDelay;
    ConformanceLoop other(world().makeProactor());
    ConformanceSocket idle(other, other.proactor().socket(AF_INET));
    ConformanceSocket listener = listen();
    const auto client = world().connectTo(proactor().localAddress(listener.get()));
    ConformanceOperation accept(loop());
    keep(accept);
    limitDescriptors(0);
    accept.accept(listener.get());
    EXPECT_TRUE(
        loop().runUntil([&] { return counters().acceptsNoDescriptors.get() >= kFailures; }));
    idle.close();
    const std::chrono::nanoseconds delayed = runDelay.get();
    const TimePoint start = proactor().now();
    while (taken_.empty() && proactor().now() - start < std::chrono::seconds(10)) {
      loop().run(start + std::chrono::seconds(10));
    }
    EXPECT_LT(proactor().now() - start - (runDelay.get() - delayed), kSoon);
    loop().cancel(accept);
    accept.join();
    taken_.clear();
  });
}

INSTANTIATE_TEST_SUITE_P(Engines, ExhaustionConformanceTest,
                         testing::ValuesIn(kernelConformanceEngines()), conformanceEngineName);

}  // namespace
}  // namespace gyre
