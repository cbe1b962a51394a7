// TcpClient in virtual time: when it gives up, when it tries again, and its end in every state.
#include <algorithm>
#include <optional>

#include "gyre/client/TcpClient.h"
#include "sim/SimServerFixture.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

const InetAddress kNobody("127.0.0.1:9");

class SimTcpClientTest : public SimServerFixture {
 protected:
  TcpClient& aim(const InetAddress& to, const ConnectOptions& options = {}) {
    own_.emplace(&loop(), to, "client");
    own_->setConnectOptions(options);
    own_->setConnectionCallback([this](const TcpConnectionPtr& connection) {
      tell(connection->connected() ? "up" : "down");
    });
    own_->setMessageCallback(
        [this](const TcpConnectionPtr&, Buffer& in) { heard_ += in.retrieveAllAsString(); });
    own_->setCloseCallback([this](const TcpConnectionPtr&) { tell("close"); });
    own_->setConnectFailedCallback([this](const ConnectFailure& failure) {
      failures_.push_back(failure);
      tell("failed");
    });
    begin_ = now();
    return *own_;
  }
  TcpClient& own() { return *own_; }
  // Calls come from the loop, as a user's do.
  void inLoop(Functor functor) {
    loop().queueInLoop(std::move(functor));
    run(10us);
  }
  void connectOwn() {
    inLoop([this] { own().connect(); });
  }
  void tell(const std::string& what) { told_.push_back({what, now() - begin_}); }
  // When that was told, since the client was aimed.
  std::vector<Duration> timesOf(const std::string& what) const {
    std::vector<Duration> times;
    for (const auto& [name, when] : told_) {
      if (name == what) times.push_back(when);
    }
    return times;
  }
  static ConnectOptions backoff(milliseconds initial, milliseconds maximum, int attempts = 0) {
    ConnectOptions options;
    options.backoff = {.initial = initial, .maximum = maximum, .jitter = 0, .attempts = attempts};
    return options;
  }
  // A connect is answered within two latencies.
  void expectAt(const std::vector<Duration>& times, const std::vector<Duration>& expected) {
    ASSERT_EQ(times.size(), expected.size());
    for (std::size_t i = 0; i < times.size(); ++i) {
      const Duration slack = 1ms * static_cast<Duration::rep>(i + 1);
      EXPECT_GE(times[i], expected[i]) << "the one numbered " << i;
      EXPECT_LE(times[i], expected[i] + slack) << "the one numbered " << i;
    }
  }
  void TearDown() override {
    own_.reset();
    if (hasServer()) destroyServer();
    run(1min);  // what the client has begun ends
    SimServerFixture::TearDown();
  }

  std::optional<TcpClient> own_;
  std::vector<std::pair<std::string, Duration>> told_;
  std::vector<ConnectFailure> failures_;
  std::string heard_;
  TimePoint begin_;
};

// --- When

TEST_F(SimTcpClientTest, NobodyListens_roundsComeWithGrowingDelays_upToTheMaximum) {
  aim(kNobody, backoff(500ms, 4s));
  connectOwn();
  run(18s);
  expectAt(timesOf("failed"), {0s, 500ms, 1500ms, 3500ms, 7500ms, 11500ms, 15500ms});
  for (std::size_t i = 0; i < failures_.size(); ++i) {
    EXPECT_EQ(failures_[i].round, static_cast<int>(i + 1));
    EXPECT_EQ(failures_[i].error, std::errc::connection_refused);
  }
  EXPECT_EQ(own().state(), ClientState::Waiting);
}

TEST_F(SimTcpClientTest, Attempts_endAtTheirLimit_andConnectBeginsAnew) {
  aim(kNobody, backoff(1s, 60s, 4));
  connectOwn();
  run(1h);
  expectAt(timesOf("failed"), {0s, 1s, 3s, 7s});
  EXPECT_EQ(failures_.back().retryAfter, std::nullopt);
  EXPECT_EQ(own().state(), ClientState::Idle);
  connectOwn();
  run(1h);
  expectAt(timesOf("failed"), {0s, 1s, 3s, 7s, 1h, 1h + 1s, 1h + 3s, 1h + 7s});
}

TEST_F(SimTcpClientTest, NoAnswer_isGivenUpAfterTheTimeout_notAfterTheKernels) {
  // Nobody accepts: a backlog that is full stays so, and drops every SYN.
  EventLoop other(network().makeProactor("other"));
  const SocketHandle full = other.proactor().listen(InetAddress("127.0.0.1:0"), {.backlog = 1});
  const InetAddress address = other.proactor().localAddress(full);
  client().connect(address);
  run(1s);
  ConnectOptions often = backoff(1s, 60s, 3);
  often.timeout = 2500ms;
  aim(address, often);
  connectOwn();
  run(1min);
  expectAt(timesOf("failed"), {2500ms, 6s, 10500ms});
  for (const ConnectFailure& failure : failures_) EXPECT_EQ(failure.error, std::errc::timed_out);
  other.proactor().close(full);
}

TEST_F(SimTcpClientTest, NoTimeout_zeroOrBeyondTheClock_waitsForTheKernelsOwn) {
  SimOptions silent;
  silent.faults[SimFault::ConnectTimedOut] = 1;
  for (const TimeSpan never : {TimeSpan(milliseconds::max()), TimeSpan(0ms), TimeSpan(-1s)}) {
    own_.reset();
    rebuild(silent);
    told_.clear();
    failures_.clear();
    ConnectOptions options = backoff(1s, 1s, 1);
    options.timeout = never;
    aim(kNobody, options);
    connectOwn();
    run(60s);
    EXPECT_EQ(own().state(), ClientState::Connecting);
    run(10min);
    ASSERT_EQ(failures_.size(), 1u);
    EXPECT_EQ(failures_[0].error, std::errc::timed_out);
    EXPECT_GE(timesOf("failed")[0], 60s) << "two minutes or so";
  }
}

// With such a maximum the delays began anew at each connection, however short.
TEST_F(SimTcpClientTest, NoMaximum_ofAServerThatDropsAtOnce_delaysGoOnGrowing) {
  for (const TimeSpan never : {TimeSpan(milliseconds::max()), TimeSpan(0ms)}) {
    own_.reset();
    if (hasServer()) destroyServer();
    rebuild({});
    told_.clear();
    start({.onUp = [](const TcpConnectionPtr& connection) { connection->forceClose(); }});
    ConnectOptions options = backoff(1s, 1s);
    options.backoff.maximum = never;
    aim(address(), options).enableRetry();
    connectOwn();
    run(1h);
    // After 1, 2, 4 … 2048 s.
    EXPECT_EQ(timesOf("up").size(), 12u);
  }
}

TEST_F(SimTcpClientTest, ServerThatComesLater_isFoundByTheNextRound) {
  start();
  const InetAddress address = this->address();
  destroyServer();
  aim(address, backoff(1s, 8s));
  connectOwn();
  run(10s);
  const std::size_t before = failures_.size();
  EXPECT_EQ(before, 4u) << "at 0, 1, 3 and 7 s";
  EventLoop other(network().makeProactor("other"));
  EventLoop* const stepped = &other;
  network().addLoop(other.proactor(), [stepped] { stepped->runOnce(kForever); });
  {
    TcpServer late(&other, address, "late");
    late.setThreadNum(0);
    late.start();
    run(10s);
    expectAt(timesOf("up"), {15s});
    EXPECT_EQ(failures_.size(), before);
    inLoop([this] { own().disconnect(); });
    run(1s);
  }
}

TEST_F(SimTcpClientTest, LostConnection_isReplacedAfterTheDelay_whichBeginsAnewForWhatLasted) {
  start();
  TcpClient& one = aim(address(), backoff(1s, 16s));
  one.enableRetry();
  connectOwn();
  const auto lose = [this] {
    inLoop([this] {
      for (auto& [id, life] : lives()) life.connection->forceClose();
    });
  };
  // Three that last a moment: 1, 2 and 4 s. One that lasts long: 1 s again.
  for (const Duration lasts : {10ms, 10ms, 10ms, 20000ms}) {
    ASSERT_TRUE(runUntil([&] { return own().state() == ClientState::Connected; }, 1min));
    run(lasts);
    lose();
    ASSERT_TRUE(runUntil([&] { return own().state() == ClientState::Waiting; }, 1min));
  }
  run(30s);
  const std::vector<Duration> ups = timesOf("up");
  const std::vector<Duration> downs = timesOf("down");
  ASSERT_EQ(ups.size(), 5u);
  ASSERT_EQ(downs.size(), 4u);
  const std::vector<Duration> delays = {1s, 2s, 4s, 1s};
  for (std::size_t i = 0; i < delays.size(); ++i) {
    EXPECT_GE(ups[i + 1] - downs[i], delays[i]);
    EXPECT_LE(ups[i + 1] - downs[i], delays[i] + 2ms);
  }
}

TEST_F(SimTcpClientTest, ThousandsOfClientsOfARestartedServer_comeBackSpreadOverTheDelay) {
  start();
  const InetAddress address = this->address();
  std::vector<std::unique_ptr<TcpClient>> many;
  std::size_t up = 0;
  ConnectOptions options;
  options.backoff = {.initial = 8s, .maximum = 60s, .jitter = 0.5};
  for (int i = 0; i < 1000; ++i) {
    many.push_back(std::make_unique<TcpClient>(&loop(), address, "c" + std::to_string(i)));
    many.back()->setConnectOptions(options);
    many.back()->enableRetry();
    many.back()->setConnectionCallback(
        [&up](const TcpConnectionPtr& connection) { connection->connected() ? ++up : --up; });
    many.back()->connect();
  }
  run(1s);
  ASSERT_EQ(up, 1000u);
  inLoop([this] {
    for (auto& [id, life] : lives()) life.connection->forceClose();
  });
  run(1s);
  EXPECT_EQ(up, 0u);
  std::size_t most = 0;
  for (int i = 0; i < 80; ++i) {
    const std::size_t before = up;
    run(100ms);
    most = std::max(most, up - before);
  }
  EXPECT_EQ(up, 1000u);
  EXPECT_LE(most, 100u) << "of 1000 over 4 s, 25 are due in a tenth of one";
  inLoop([&many] { many.clear(); });
  run(1s);
}

TEST_F(SimTcpClientTest, StoppedForHours_oneRoundIsMade_notAllThatWereMissed) {
  aim(kNobody, backoff(1s, 1s));
  connectOwn();
  run(5500ms);
  ASSERT_EQ(failures_.size(), 6u);
  stopFor(6h);
  run(500ms);
  EXPECT_EQ(failures_.size(), 7u);
}

// A process that stood still while the answer came has it, late as it is.
TEST_F(SimTcpClientTest, StoppedBeyondTheTimeout_answerThatCameMeanwhileCounts) {
  start();
  ConnectOptions options = backoff(1s, 1s);
  options.timeout = 3s;
  aim(address(), options);
  inLoop([this] {
    own().connect();
    loop().queueInLoop([this] { run(1h); });
  });
  run(2s);
  EXPECT_LE(timesOf("up").size() + timesOf("failed").size(), 2u);
  EXPECT_EQ(own().state(), ClientState::Connected);
}

// --- Cancel and destroy, in each state

enum class How : std::uint8_t { Stop, Disconnect, Destroy };

class SimTcpClientEndTest : public SimTcpClientTest, public testing::WithParamInterface<How> {
 protected:
  void endNow() {
    inLoop([this] {
      switch (GetParam()) {
        case How::Stop: return own().stop();
        case How::Disconnect: return own().disconnect();
        case How::Destroy: return own_.reset();
      }
    });
  }
  // Nothing more is told, nothing goes on.
  void expectRest(std::size_t told) {
    const std::uint64_t before = loop().counters().iterations.get();
    run(1h);
    EXPECT_EQ(told_.size(), told);
    EXPECT_LE(loop().counters().iterations.get() - before, 10u);
    EXPECT_TRUE(!own_ || own().state() == ClientState::Idle);
    EXPECT_EQ(loop().proactor().operationsInFlight(), hasServer() ? 1u : 0u);
  }
};

TEST_P(SimTcpClientEndTest, Idle) {
  aim(kNobody);
  endNow();
  expectRest(0);
}

TEST_P(SimTcpClientEndTest, Connecting_atEveryMomentOfIt) {
  for (int moment = 0; moment < 60; ++moment) {
    rebuild({.seed = static_cast<std::uint64_t>(moment)});
    told_.clear();
    start();
    aim(address());
    loop().queueInLoop([this] { own().connect(); });
    run(5us * moment);
    const bool wasUp = !told_.empty();
    endNow();
    if (wasUp && GetParam() == How::Stop) {
      EXPECT_EQ(own().state(), ClientState::Connected) << "a connection that is up stays";
      inLoop([this] { own().disconnect(); });
    }
    run(1s);
    EXPECT_TRUE(told_.empty() || wasUp) << "told after the end, moment " << moment;
    EXPECT_EQ(overs(), ups()) << "moment " << moment;
    own_.reset();
    destroyServer();
    run(1s);
  }
}

TEST_P(SimTcpClientEndTest, WaitingForTheNextRound) {
  aim(kNobody, backoff(10s, 10s));
  connectOwn();
  run(15s);
  ASSERT_EQ(own().state(), ClientState::Waiting);
  endNow();
  expectRest(2);
}

TEST_P(SimTcpClientEndTest, Unanswered) {
  SimOptions options;
  options.faults[SimFault::ConnectTimedOut] = 1;
  rebuild(options);
  aim(kNobody, backoff(1s, 1s));
  connectOwn();
  run(500ms);
  ASSERT_EQ(own().state(), ClientState::Connecting);
  endNow();
  expectRest(0);
}

TEST_P(SimTcpClientEndTest, LostAndToBeReplaced) {
  start();
  aim(address(), backoff(10s, 10s)).enableRetry();
  connectOwn();
  run(1s);
  inLoop([this] { lives().begin()->second.connection->forceClose(); });
  run(1s);
  ASSERT_EQ(own().state(), ClientState::Waiting);
  endNow();
  expectRest(3);
}

TEST_P(SimTcpClientEndTest, Disconnecting_whileTheServerDoesNotAnswer) {
  start({.options = {.timeouts = {.close = 1h}}, .onHalfClose = [](const TcpConnectionPtr&) {}});
  aim(address());
  connectOwn();
  run(1s);
  inLoop([this] { own().disconnect(); });
  run(1s);
  ASSERT_EQ(own().state(), ClientState::Disconnecting);
  endNow();
  run(1min);
  EXPECT_EQ(timesOf("close").size(), GetParam() == How::Destroy ? 0u : 1u);
  EXPECT_TRUE(!own_ || own().state() == ClientState::Idle) << "after its own close timeout";
}

INSTANTIATE_TEST_SUITE_P(By, SimTcpClientEndTest,
                         testing::Values(How::Stop, How::Disconnect, How::Destroy));

}  // namespace
}  // namespace gyre
