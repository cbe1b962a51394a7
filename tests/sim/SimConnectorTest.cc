// Several addresses of one server in virtual time: which is tried when, who wins, what is left
// over.
#include <optional>

#include "client/Connector.h"
#include "sim/SimServerFixture.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

const InetAddress kNobody("127.0.0.1:9");

class SimConnectorTest : public SimServerFixture {
 protected:
  void TearDown() override {
    connector_.reset();
    loop().queueInLoop([this] { loop().proactor().cancel(accept_); });
    run(1s);
    for (const SocketHandle socket : connected_) loop().proactor().close(socket);
    for (const SocketHandle socket : silent_) loop().proactor().close(socket);
    if (hasServer()) destroyServer();
    run(1min);
    EXPECT_EQ(loop().residentCount(), 0u);
    EXPECT_EQ(loop().proactor().operationsInFlight(), 0u);
    EXPECT_EQ(network().statistics().socketsOpened, network().statistics().socketsClosed);
    SimServerFixture::TearDown();
  }

  // Where no SYN is answered: a backlog that is full and that nobody empties.
  InetAddress silent() {
    silent_.push_back(loop().proactor().listen(InetAddress("127.0.0.1:0"), {.backlog = 1}));
    const InetAddress address = loop().proactor().localAddress(silent_.back());
    client().connect(address);
    run(1ms);
    return address;
  }
  // The same for a unix socket, which says so.
  InetAddress fullUnix() {
    const InetAddress address("unix:@full");
    silent_.push_back(loop().proactor().listen(address, {.backlog = 1}));
    client().connect(address);
    run(1ms);
    return address;
  }
  static ConnectOptions options(TimeSpan timeout, TimeSpan attemptDelay = 250ms) {
    ConnectOptions options;
    options.timeout = timeout;
    options.attemptDelay = attemptDelay;
    options.backoff.attempts = 1;
    return options;
  }
  void connect(std::vector<InetAddress> addresses, const ConnectOptions& options) {
    Connector::Callbacks callbacks;
    callbacks.onConnected = [this](SocketHandle socket) {
      connected_.push_back(socket);
      times_.push_back(now() - begin_);
    };
    callbacks.onFailed = [this](const ConnectFailure& failure) {
      failures_.push_back(failure);
      times_.push_back(now() - begin_);
    };
    connector_ = std::make_shared<Connector>(
        &loop(), ConnectTarget{.addresses = std::move(addresses)}, std::move(callbacks));
    connector_->setOptions(options);
    begin_ = now();
    loop().queueInLoop([this] { connector_->start(); });
  }
  InetAddress winner() {
    return connected_.empty() ? InetAddress() : loop().proactor().peerAddress(connected_[0]);
  }
  // What was told came at these times, to a millisecond.
  void expectTimes(const std::vector<Duration>& expected) {
    ASSERT_EQ(times_.size(), expected.size());
    for (std::size_t i = 0; i < times_.size(); ++i) {
      EXPECT_GE(times_[i], expected[i]) << i;
      EXPECT_LE(times_[i], expected[i] + 2ms) << i;
    }
  }

  static void handleAccept(IoContext&, const IoResult& result) noexcept {
    if (result.more) EventLoop::current()->proactor().close(result.socket);
  }

  IoContext accept_{&handleAccept};  // of a listener that was silent
  std::shared_ptr<Connector> connector_;
  std::vector<SocketHandle> connected_;
  std::vector<SocketHandle> silent_;
  std::vector<ConnectFailure> failures_;
  std::vector<Duration> times_;
  TimePoint begin_;
};

TEST_F(SimConnectorTest, FirstDoesNotAnswer_theSecondIsTriedBesideIt_andWins) {
  start();
  connect({silent(), address()}, options(10s));
  run(1h);
  expectTimes({250ms});
  EXPECT_EQ(winner(), address());
  EXPECT_EQ(connector_->state(), Connector::State::Idle);
}

TEST_F(SimConnectorTest, ManyDoNotAnswer_oneIsAddedAtATime) {
  start();
  connect({silent(), silent(), silent(), silent(), address(), silent()}, options(10s, 100ms));
  run(1h);
  expectTimes({400ms});
  EXPECT_EQ(winner(), address());
}

TEST_F(SimConnectorTest, FirstRefuses_theSecondIsTriedAtOnce) {
  start();
  connect({kNobody, kNobody, address()}, options(10s));
  run(1h);
  expectTimes({0ms, 0ms, 0ms});
  ASSERT_EQ(failures_.size(), 2u);
  for (const ConnectFailure& failure : failures_) {
    EXPECT_EQ(failure.retryAfter, milliseconds::zero()) << "the round goes on";
  }
}

// A silent one, one beside it that refuses: the third does not wait for its turn.
TEST_F(SimConnectorTest, OneBesideTheFirstRefuses_theNextIsTriedAtOnce) {
  start();
  connect({silent(), kNobody, address()}, options(10s));
  run(1h);
  expectTimes({250ms, 250ms});
  EXPECT_EQ(winner(), address());
}

TEST_F(SimConnectorTest, FirstAnswersLate_butBeforeTheOthers_wins) {
  start();
  const InetAddress late = silent();
  connect({late, silent()}, options(1min));
  run(500ms);
  EXPECT_TRUE(times_.empty());
  // Room for it when its SYN comes again.
  const SocketHandle taken = silent_.front();
  loop().queueInLoop([&] { loop().proactor().accept(accept_, taken); });
  run(10s);
  ASSERT_EQ(connected_.size(), 1u);
  EXPECT_EQ(winner(), late);
}

TEST_F(SimConnectorTest, NobodyAnswers_theTimeoutIsForAllTogether) {
  const std::vector<InetAddress> addresses = {silent(), silent(), silent()};
  connect(addresses, options(10s));
  run(1h);
  expectTimes({10s, 10s, 10s});
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(failures_[i].error, std::errc::timed_out);
    EXPECT_EQ(failures_[i].address, addresses[i]);
    EXPECT_EQ(failures_[i].retryAfter.has_value(), i < 2) << "the last ends the round";
  }
  EXPECT_EQ(connector_->state(), Connector::State::Idle);
}

TEST_F(SimConnectorTest, TimeoutBeforeTheSecondsTurn_leavesItUntried) {
  connect({silent(), silent()}, options(100ms));
  run(1h);
  expectTimes({100ms});
}

TEST_F(SimConnectorTest, AttemptDelayZeroOrBeyondTheClock_triesOneAfterTheOther) {
  start();
  for (const TimeSpan never : {TimeSpan(0ms), TimeSpan(milliseconds::max())}) {
    times_.clear();
    connect({silent(), address()}, options(10s, never));
    run(1min);
    expectTimes({10s});
  }
  times_.clear();
  connect({kNobody, address()}, options(10s, 0ms));
  run(1min);
  expectTimes({0ms, 0ms});
}

TEST_F(SimConnectorTest, RoundsFollow_eachFromTheFirstAddress) {
  ConnectOptions twice = options(1s);
  twice.backoff = {.initial = 5s, .jitter = 0, .attempts = 2};
  const InetAddress first = silent();
  connect({first, kNobody}, twice);
  run(1h);
  expectTimes({250ms, 1s, 6250ms, 7s});
  EXPECT_EQ(failures_[1].address, first);
  EXPECT_EQ(failures_[1].retryAfter, milliseconds(5000));
  EXPECT_EQ(failures_[3].round, 2);
  EXPECT_EQ(failures_[3].retryAfter, std::nullopt);
}

// TearDown looks at what is left.
TEST_F(SimConnectorTest, StoppedOrGone_atEveryMoment_leavesNothingBehind) {
  start();
  const std::vector<InetAddress> addresses = {silent(), kNobody, silent(), address(), silent()};
  for (int moment = 0; moment < 80; ++moment) {
    times_.clear();
    connect(addresses, options(300ms, 25ms));
    run(moment < 40 ? 5us * moment : 1ms * (moment - 40));
    const std::size_t told = times_.size();
    loop().queueInLoop(
        [this, moment] { moment % 2 == 0 ? connector_->stop() : connector_.reset(); });
    run(1s);
    EXPECT_EQ(times_.size(), told) << "told after the end, moment " << moment;
    for (const SocketHandle socket : connected_) loop().proactor().close(socket);
    connected_.clear();
    run(1s);
    EXPECT_EQ(loop().residentCount(), 1u) << "the acceptor, moment " << moment;
  }
}

// --- A unix socket whose backlog is full

TEST_F(SimConnectorTest, FullUnixBacklog_isAskedAgain_untilThereIsRoom) {
  const InetAddress full = fullUnix();
  connect({full}, options(10s));
  run(3s);
  EXPECT_TRUE(times_.empty());
  loop().queueInLoop([&] { loop().proactor().accept(accept_, silent_.front()); });
  run(1s);
  ASSERT_EQ(connected_.size(), 1u);
  EXPECT_LE(times_[0], 3s + 130ms) << "it is asked each 128 ms at last";
}

TEST_F(SimConnectorTest, FullUnixBacklog_isTimedOut_andAskedAFewTimesASecondOnly) {
  connect({fullUnix()}, options(10s));
  const std::uint64_t before = iterations();
  run(1h);
  expectTimes({10s});
  EXPECT_EQ(failures_[0].error, std::errc::timed_out);
  EXPECT_NE(failures_[0].reason.find("backlog"), std::string_view::npos) << failures_[0].reason;
  EXPECT_LE(iterations() - before, 300u);
}

}  // namespace
}  // namespace gyre
