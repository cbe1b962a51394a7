// A client and a resolver, and each of their allocations refused in turn.
#include <sys/socket.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "gyre/base/UniqueFd.h"
#include "gyre/client/TcpClient.h"
#include "gyre/names/Resolver.h"
#include "net/EveryAllocation.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class LoopRun {
 public:
  void step() {
    asSubject([&] { loop().runOnce(loop().now() + milliseconds(1)); });
  }
  bool runUntil(const std::function<bool()>& isDone) {
    const auto limit = Clock::now() + kPatience;
    bool done = isDone();
    for (; !done && Clock::now() < limit; done = isDone()) step();
    return done;
  }
  void makeLoop() { loop_.emplace(testProactorOptions()); }
  void endLoop() { loop_.reset(); }
  EventLoop& loop() { return *loop_; }

 private:
  std::optional<EventLoop> loop_;
};

// A server that takes whoever comes and says nothing.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const InetAddress any = InetAddress::loopback(0);
    ::bind(fd_.get(), any.sockaddrPtr(), any.length());
    ::listen(fd_.get(), 8);
  }
  InetAddress address() const {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&storage), &length);
    return InetAddress::fromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
  }
  UniqueFd accept() const {
    return UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  }

 private:
  UniqueFd fd_;
};

class ClientRun : public LoopRun {
 public:
  explicit ClientRun(const Listener& listener) : listener_(listener) {}
  ~ClientRun() {
    client_.reset();
    endLoop();
    // The last one may have been there when the client ended, which is not told.
    EXPECT_TRUE(ups_ == downs_ || ups_ == downs_ + 1) << ups_ << " ups, " << downs_ << " downs";
    EXPECT_EQ(downs_, closes_);
  }

  // May throw.
  void start() {
    asSubject([&] {
      makeLoop();
      client_.emplace(&loop(), listener_.address(), "memory");
      ConnectOptions options;
      options.backoff.initial = milliseconds(1);
      options.backoff.maximum = milliseconds(4);
      client_->setConnectOptions(options);
      client_->enableRetry();
      client_->setConnectionCallback([this](const TcpConnectionPtr& connection) {
        ++(connection->connected() ? ups_ : downs_);
        if (connection->connected()) connection->send("x");
      });
      client_->setCloseCallback([this](const TcpConnectionPtr&) { ++closes_; });
      client_->setConnectFailedCallback(
          [this](const ConnectFailure& failure) { hasGivenUp_ = !failure.retryAfter; });
      client_->connect();
    });
  }
  // Takes connections until one of them says something.
  bool isServed() {
    UniqueFd peer;
    // The client loses the connection when this returns.
    return runUntil([&] {
      // Without memory to begin with it says so, and is to be asked again.
      if (std::exchange(hasGivenUp_, false)) asSubject([&] { client_->connect(); });
      if (!peer) peer = listener_.accept();
      char byte = 0;
      const ssize_t got = peer ? ::recv(peer.get(), &byte, 1, 0) : -1;
      if (got == 0 || (peer && got < 0 && errno != EAGAIN)) peer.reset();
      return got == 1;
    });
  }
  // While the connection is there or on its way.
  void destroyClient() {
    asSubject([&] { client_.reset(); });
  }

 private:
  const Listener& listener_;
  std::optional<TcpClient> client_;
  int ups_ = 0;
  int downs_ = 0;
  int closes_ = 0;
  bool hasGivenUp_ = false;
};

class ClientMemoryTest : public EveryAllocationTest {
 protected:
  void connectAndReconnect(const RefusalPlan& plan) {
    const std::size_t runs = refuseEach(plan, [&](RefusedAllocations& refused) {
      const Listener listener;
      ClientRun run(listener);
      refused.begin();
      run.start();
      ASSERT_TRUE(run.isServed());
      ASSERT_TRUE(run.isServed()) << "it does not connect again";
      refused.end();
      ASSERT_TRUE(run.isServed()) << "it does not connect any more";
    });
    EXPECT_GT(runs, 5U) << "it needs memory";
  }
};

TEST_F(ClientMemoryTest, Retrying_connectsAgainWhateverIsRefused) { connectAndReconnect({}); }

TEST_F(ClientMemoryTest, Retrying_connectsAgain_severalInARow) {
  connectAndReconnect({.width = 5, .stride = 7});
}

TEST_F(ClientMemoryTest, Destructor_withAConnection_needsNoMemory) {
  const std::size_t runs = refuseEach({.width = 1000}, [&](RefusedAllocations& refused) {
    const Listener listener;
    ClientRun run(listener);
    run.start();
    ASSERT_TRUE(run.isServed());
    refused.begin();
    run.destroyClient();
    for (int i = 0; i < 5; ++i) run.step();
    refused.end();
  });
  EXPECT_EQ(runs, 1U);
}

// Not even that there is no memory to begin with.
TEST_F(ClientMemoryTest, Connect_withoutMemory_failsAfterTheCall) {
  LoopRun run;
  run.makeLoop();
  TcpClient client(&run.loop(), InetAddress::loopback(1), "memory");
  bool isInside = false;
  int failures = 0;
  client.setConnectFailedCallback([&](const ConnectFailure& failure) {
    EXPECT_FALSE(isInside) << "it was called back inside connect()";
    EXPECT_EQ(failure.error, std::errc::not_enough_memory);
    ++failures;
  });
  const auto connect = [&] {
    isInside = true;
    asSubject([&] { client.connect(); });
    isInside = false;
  };
  const AllocationsExempt exempt;
  RefusedAllocations refused(0, ~std::size_t{0});
  refused.begin();
  connect();
  EXPECT_EQ(failures, 0);
  EXPECT_TRUE(run.runUntil([&] { return failures != 0; }));
  connect();
  client.stop();
  run.step();
  refused.end();
  EXPECT_EQ(failures, 1) << "after stop()";
}

class ResolverMemoryTest : public EveryAllocationTest {};

TEST_F(ResolverMemoryTest, EachQuestionThatWasTaken_isAnswered) {
  refuseEach({}, [&](RefusedAllocations& refused) {
    LoopRun run;
    std::optional<Resolver> resolver;
    int asked = 0;
    int told = 0;
    refused.begin();
    asSubject([&] {
      run.makeLoop();
      ResolverOptions options;
      options.timeout = milliseconds(50);
      options.tryTimeout = milliseconds(20);
      options.tries = 1;
      options.servers = {InetAddress("127.0.0.1:1")};
      resolver.emplace(&run.loop(), options);
      for (const char* host : {"127.0.0.1", "::1", "localhost", "nowhere.example", ""}) {
        try {
          resolver->resolve({host, 80}, [&told](const ResolveResult&) { ++told; });
          ++asked;
        } catch (const std::bad_alloc&) {
        }
      }
    });
    EXPECT_TRUE(run.runUntil([&] { return told == asked; })) << told << " of " << asked;
    refused.end();
    EXPECT_EQ(resolver->pendingCount(), 0U);
  });
}

class TimerMemoryTest : public EveryAllocationTest {};

TEST_F(TimerMemoryTest, EachThatWasSet_runs) {
  refuseEach({}, [&](RefusedAllocations& refused) {
    LoopRun run;
    int set = 0;
    int ran = 0;
    int ticks = 0;
    bool isTicking = false;
    const auto attempt = [](auto call) {
      try {
        call();
        return 1;
      } catch (const std::bad_alloc&) {
        return 0;
      }
    };
    refused.begin();
    asSubject([&] {
      run.makeLoop();
      EventLoop& loop = run.loop();
      for (int i = 0; i < 40; ++i) {
        set += attempt([&] { loop.runAfter(milliseconds(i % 3), [&ran] { ++ran; }); });
      }
      isTicking = attempt([&] { loop.runEvery(milliseconds(1), [&ticks] { ++ticks; }); }) == 1;
    });
    EXPECT_TRUE(run.runUntil([&] { return ran == set && (!isTicking || ticks >= 3); }))
        << ran << " of " << set << ", and " << ticks << " ticks";
    refused.end();
  });
}

// The loop has no memory to take them over.
TEST_F(TimerMemoryTest, OfAnotherThread_waitAndAreNotLost_norDoesTheLoopSpin) {
  LoopRun run;
  run.makeLoop();
  const AllocationsExempt exempt;
  int ran = 0;
  TimerId cancelled;
  std::thread([&] {
    const AllocationsExempt ours;
    for (int i = 0; i < 100; ++i) run.loop().runAfter(milliseconds(i % 3), [&ran] { ++ran; });
    cancelled = run.loop().runAfter(milliseconds(1), [&ran] { ran += 1000; });
  }).join();
  RefusedAllocations refused(0, ~std::size_t{0});
  refused.begin();
  const std::uint64_t before = run.loop().counters().iterations.get();
  const auto end = Clock::now() + milliseconds(100);
  while (Clock::now() < end) {
    asSubject([&] { run.loop().runOnce(run.loop().now() + milliseconds(100)); });
  }
  EXPECT_LE(run.loop().counters().iterations.get() - before, 20U);
  EXPECT_EQ(ran, 0);
  run.loop().cancel(cancelled);
  refused.end();
  EXPECT_TRUE(run.runUntil([&] { return ran == 100; }));
  run.step();
  EXPECT_EQ(ran, 100);
}

// Each firing of a repeating timer while there is no memory at all.
TEST_F(TimerMemoryTest, Repeating_needsNoMoreMemory) {
  LoopRun run;
  run.makeLoop();
  int ticks = 0;
  for (int i = 0; i < 100; ++i) {
    run.loop().runEvery(milliseconds(1), [&ticks] { ++ticks; });
  }
  RefusedAllocations refused(0, ~std::size_t{0});
  refused.begin();
  const AllocationsExempt exempt;
  EXPECT_TRUE(run.runUntil([&] { return ticks >= 1000; }));
  refused.end();
  EXPECT_EQ(refused.count(), 0U);
}

}  // namespace
}  // namespace gyre
