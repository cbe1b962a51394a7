// Timeouts of a server in virtual time: exact to a tick for one connection and for thousands, and
// nobody's by mistake: not the slow ones', not those of whom something came while we stood still.
#include <algorithm>

#include "gyre/codec/FrameReader.h"
#include "gyre/codec/LineCodec.h"
#include "sim/SimServerFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

class SimServerTimeoutTest : public SimServerFixture {
 protected:
  void startWith(const ConnectionTimeouts& timeouts, SimServerScript script = {}) {
    script.options.timeouts = timeouts;
    start(std::move(script));
  }
  // Clients that say `greeting` and wait for the server to end it, a pause between one and the
  // next.
  void crowd(std::size_t count, Duration pause, const std::string& greeting = "") {
    for (std::size_t i = 0; i < count; ++i) {
      SimClient& one = client();
      one.wait(pause * static_cast<Duration::rep>(i)).connect(address());
      if (!greeting.empty()) one.send(greeting);
      one.awaitEnd().close();
    }
  }
  // All have ended by this, each that long after it came up, to a tick.
  void expectAll(std::size_t count, CloseReason reason, Duration after) {
    EXPECT_EQ(endedBy(reason), count);
    EXPECT_EQ(timeouts(), count);
    for (const auto& [id, life] : lives()) {
      EXPECT_GE(life.lasted(), after - kCoarse) << "connection " << id << " ended early";
      EXPECT_LE(life.lasted(), after + kTick + kCoarse) << "connection " << id << " ended late";
    }
  }
};

// --- Exact, however many

TEST_F(SimServerTimeoutTest, Idle_oneAfterTheOther_eachToATick) {
  startWith({.idle = 10s});
  crowd(500, 7ms);
  run(30s);
  expectAll(500, CloseReason::IdleTimeout, 10s);
  for (const auto& one : clients()) EXPECT_TRUE(one->hasEnded() && !one->wasReset());
}

TEST_F(SimServerTimeoutTest, Idle_thousandsAtOnce_allWithinOneTick_andNoneGoesRoundForIt) {
  startWith({.idle = 30s});
  crowd(3000, 0ms, "hello");
  run(1s);
  ASSERT_EQ(ups(), 3000u);
  const std::uint64_t before = iterations();
  run(28s);
  EXPECT_EQ(overs(), 0u);
  EXPECT_LE(iterations() - before, 10u) << "the loop sleeps until somebody is due";
  run(10s);
  expectAll(3000, CloseReason::IdleTimeout, 30s);
}

// A turn of the wheel is 102 s.
TEST_F(SimServerTimeoutTest, Idle_longerThanATurnOfTheWheel_isAsExact) {
  startWith({.idle = 3h});
  crowd(50, 977ms);
  run(2h);
  EXPECT_EQ(overs(), 0u);
  run(2h);
  expectAll(50, CloseReason::IdleTimeout, 3h);
}

TEST_F(SimServerTimeoutTest, NoLimit_zeroOrBeyondTheClock_endsNobody) {
  for (const TimeSpan never : {TimeSpan(std::chrono::milliseconds::max()), TimeSpan(0ms)}) {
    rebuild({});
    startWith({.idle = never, .firstByte = never, .writeStall = never, .close = never});
    crowd(3, 1s);
    run(24h * 300);
    EXPECT_EQ(ups(), 3u);
    EXPECT_EQ(overs(), 0u);
    EXPECT_EQ(timeouts(), 0u);
  }
}

TEST_F(SimServerTimeoutTest, FirstByte_eachToATick_whoSaidSomethingStays) {
  startWith({.firstByte = 5s});
  crowd(200, 13ms);
  SimClient& early = client();
  early.connect(address()).wait(4900ms).send("x");
  SimClient& late = client();
  late.connect(address()).wait(5200ms).send("x").close();
  run(1min);
  EXPECT_EQ(endedBy(CloseReason::FirstByteTimeout), 201u) << "the late one, too";
  EXPECT_EQ(early.received(), "x");
  EXPECT_TRUE(early.isConnected() && !early.hasEnded());
  EXPECT_EQ(late.received(), "");
  for (const auto& [id, life] : lives()) {
    if (!life.isOver || life.reason != CloseReason::FirstByteTimeout) continue;
    EXPECT_GE(life.lasted(), 5s - kCoarse);
  }
}

TEST_F(SimServerTimeoutTest, WriteStall_ofAllWhoReadNothing_toATick) {
  startWith({.writeStall = 5s}, {.onUp = [](const TcpConnectionPtr& connection) {
              connection->send(std::string(kMiB, 'x'));
            }});
  for (int i = 0; i < 50; ++i) client().connect(address()).stall();
  run(1min);
  EXPECT_EQ(endedBy(CloseReason::WriteStall), 50u);
  for (const auto& [id, life] : lives()) {
    EXPECT_EQ(life.error, ETIMEDOUT);
    // The last byte that was taken may have been so a little later than the first.
    EXPECT_GE(life.lasted(), 5s - kCoarse);
    EXPECT_LE(life.lasted(), 5s + kTick + 10ms);
  }
}

TEST_F(SimServerTimeoutTest, Close_ofAllWhoNeverAnswerOurFin_toATick) {
  startWith({.close = 4s},
            {.onUp = [](const TcpConnectionPtr& connection) { connection->shutdown(); }});
  for (int i = 0; i < 300; ++i) client().wait(3ms * i).connect(address());
  run(1min);
  expectAll(300, CloseReason::LingerTimeout, 4s);
}

TEST_F(SimServerTimeoutTest, Tick_isAsCoarseAsItWasSet) {
  loop().setTimeoutTick(5s);
  startWith({.idle = 7s});
  crowd(100, 137ms);
  run(1min);
  EXPECT_EQ(endedBy(CloseReason::IdleTimeout), 100u);
  Duration latest{};
  for (const auto& [id, life] : lives()) {
    EXPECT_GE(life.lasted(), 7s - kCoarse);
    EXPECT_LE(life.lasted(), 12s + kCoarse);
    latest = std::max(latest, life.lasted());
  }
  EXPECT_GE(latest, 10s) << "or the tick says nothing";
}

// --- Slow, and legitimate or not

// Lines, each answered when it is whole.
MessageCallback answerLines(std::vector<std::string>& lines) {
  return framed(LineCodec(), [&lines](const TcpConnectionPtr& connection, std::string_view line) {
    lines.emplace_back(line);
    connection->send("ok\n");
  });
}

TEST_F(SimServerTimeoutTest, SlowWriter_aByteASecond_isHeardOut_whileItsPauseIsShorterThanIdle) {
  std::vector<std::string> lines;
  startWith({.idle = 1500ms, .firstByte = 2s}, {.onMessage = answerLines(lines)});
  const std::string line(120, 'a');
  SimClient& slow = client();
  slow.connect(address()).send(line + "\n", {1, 1s}).awaitBytes(3).awaitEnd().close();
  run(119s);
  EXPECT_EQ(overs(), 0u);
  run(1min);
  EXPECT_EQ(lines, std::vector<std::string>(1, line));
  EXPECT_EQ(slow.received(), "ok\n");
  EXPECT_EQ(endedBy(CloseReason::IdleTimeout), 1u) << "and it ends when it says nothing more";
  EXPECT_GE(life(1).lasted(), 121s);
  EXPECT_LE(life(1).lasted(), 121s + 1500ms + kTick + kCoarse);
}

TEST_F(SimServerTimeoutTest, SlowWriter_withPausesLongerThanIdle_isCaughtInTheMiddleOfALine) {
  std::vector<std::string> lines;
  startWith({.idle = 900ms, .close = 4s}, {.onMessage = answerLines(lines)});
  SimClient& slow = client();
  slow.connect(address()).send("never whole\n", {1, 1s});
  run(1min);
  EXPECT_TRUE(slow.hasEnded()) << "it was closed in good order, and talks on";
  EXPECT_EQ(endedBy(CloseReason::LingerTimeout), 1u) << "not for ever";
  EXPECT_TRUE(lines.empty());
  EXPECT_LE(life(1).lasted(), 900ms + 4s + 2 * kTick + kCoarse);
}

// Whoever limits how long a line may take sets a timer of his own: no timeout ends who keeps
// talking.
TEST_F(SimServerTimeoutTest, SlowWriter_lineDeadlineOfTheUser_catchesWhoNeverEndsALine) {
  std::vector<std::string> lines;
  startWith({.idle = 10s}, {.onUp =
                                [](const TcpConnectionPtr& connection) {
                                  connection->loop()->runAfter(30s,
                                                               [weak = std::weak_ptr(connection)] {
                                                                 if (const auto held = weak.lock())
                                                                   held->shutdown();
                                                               });
                                },
                            .onMessage = answerLines(lines)});
  client().connect(address()).send(std::string(1000, 'a'), {1, 1s}).awaitEnd().close();
  run(1min);
  EXPECT_TRUE(clients()[0]->hasEnded());
  EXPECT_EQ(endedBy(CloseReason::LingerTimeout), 1u);
  EXPECT_GE(life(1).lasted(), 40s - kCoarse) << "30 s, and 10 s for its FIN";
}

TEST_F(SimServerTimeoutTest, SlowReader_getsAll_whileAPieceIsTakenInTime) {
  const std::string bytes(2 * kMiB, 'x');
  startWith({.idle = 10s, .writeStall = 10s},
            {.onUp = [&bytes](const TcpConnectionPtr& connection) {
              connection->send(bytes);
              connection->shutdown();
            }});
  SimClient& slow = client();
  slow.setReadPace({64 * 1024, 1s}).connect(address()).awaitEnd().close();
  run(2min);
  EXPECT_EQ(slow.received(), bytes);
  EXPECT_EQ(endedBy(CloseReason::Shutdown), 1u);
  EXPECT_EQ(timeouts(), 0u);
  EXPECT_GE(life(1).lasted(), 28s);
}

// A send hides its progress until it is done: what shows is 256 KiB, or the rest.
TEST_F(SimServerTimeoutTest, SlowReader_aByteASecond_isAStall) {
  startWith({.writeStall = 10s}, {.onUp = [](const TcpConnectionPtr& connection) {
              connection->send(std::string(kMiB, 'x'));
            }});
  client().setReadPace({1, 1s}).connect(address());
  run(1min);
  EXPECT_EQ(endedBy(CloseReason::WriteStall), 1u);
}

// --- Half-close

TEST_F(SimServerTimeoutTest, HalfClosedByThePeer_whoIsOwedAnAnswer_isNotIdleBeforeItIsGiven) {
  startWith({.idle = 20s}, {.onMessage = [](const auto&, Buffer& in) { in.retrieveAll(); },
                            .onHalfClose =
                                [](const TcpConnectionPtr& connection) {
                                  connection->loop()->runAfter(15s, [connection] {
                                    connection->send("answer");
                                    connection->shutdown();
                                  });
                                }});
  SimClient& asking = client();
  asking.connect(address()).send("question").halfClose().awaitEnd().close();
  run(1min);
  EXPECT_EQ(asking.received(), "answer");
  EXPECT_TRUE(asking.hasEnded() && !asking.wasReset());
  EXPECT_EQ(timeouts(), 0u);
}

TEST_F(SimServerTimeoutTest, HalfClosedByThePeer_andForgottenByUs_endsAsIdle) {
  startWith({.idle = 20s}, {.onHalfClose = [](const TcpConnectionPtr&) {}});
  SimClient& left = client();
  left.connect(address()).send("question").halfClose().awaitEnd().close();
  run(1min);
  EXPECT_EQ(left.received(), "question");
  EXPECT_TRUE(left.hasEnded() && !left.wasReset());
  EXPECT_EQ(endedBy(CloseReason::IdleTimeout), 1u);
  EXPECT_LE(life(1).lasted(), 20s + kTick + kCoarse);
}

TEST_F(SimServerTimeoutTest, HalfClosedByUs_thePeerTalksOn_andIsIdleAfterItsLastByte) {
  std::size_t heard = 0;
  startWith({.idle = 3s, .close = 1s}, {.onUp =
                                            [](const TcpConnectionPtr& connection) {
                                              connection->send("greeting");
                                              connection->shutdownWrite();
                                            },
                                        .onMessage =
                                            [&heard](const TcpConnectionPtr&, Buffer& in) {
                                              heard += in.readableBytes();
                                              in.retrieveAll();
                                            }});
  SimClient& talker = client();
  talker.connect(address()).awaitEnd().send("twenty bytes a second", {1, 1s}).wait(1h);
  run(1min);
  EXPECT_EQ(talker.received(), "greeting");
  EXPECT_TRUE(talker.hasEnded());
  EXPECT_EQ(heard, 21u) << "our FIN ends our side only";
  EXPECT_EQ(timeouts(), 2u);
  EXPECT_GE(life(1).lasted(), 23s - kCoarse);
  EXPECT_LE(life(1).lasted(), 25s) << "idle, and then a second for its FIN";
}

// --- Resets

TEST_F(SimServerTimeoutTest, Reset_whileATimeoutIsPending_endsItOnce_andLeavesTheOthers) {
  startWith({.idle = 10s, .firstByte = 6s, .writeStall = 8s, .close = 5s});
  for (int i = 0; i < 100; ++i) {
    SimClient& one = client();
    one.connect(address());
    if (i % 2 == 0) one.send("x");
    one.wait(100ms * i).reset();
  }
  SimClient& other = client();
  other.connect(address()).send("ping", {1, 9s}).awaitBytes(4).close();
  run(2min);
  EXPECT_EQ(ups(), 101u);
  EXPECT_EQ(overs(), 101u);
  EXPECT_EQ(other.received(), "ping");
  // Who resets is closed for that, as long as nothing else was due before.
  EXPECT_EQ(endedBy(CloseReason::PeerClosed), 1u);
  EXPECT_EQ(endedBy(CloseReason::Error) + endedBy(CloseReason::LingerTimeout), 100u);
  EXPECT_GE(endedBy(CloseReason::Error), 80u);
}

// --- Leaps of the clock

TEST_F(SimServerTimeoutTest, StoppedForHours_whoSpokeMeanwhile_isNotIdle) {
  startWith({.idle = 10s});
  // More than there are receive buffers, so that not all is found at the first look.
  for (int i = 0; i < 200; ++i) client().connect(address()).send("hello").wait(5s).send("again");
  run(1s);
  ASSERT_EQ(ups(), 200u);
  stopFor(3h);
  run(5s);
  EXPECT_EQ(overs(), 0u) << "what had come by then is dispatched before anybody is judged";
  EXPECT_EQ(timeouts(), 0u);
  for (const auto& one : clients()) EXPECT_EQ(one->received(), "helloagain");
  run(10s);
  EXPECT_EQ(timeouts(), 200u) << "from then on the time counts again";
}

// The kernel hands out little at a time, so that an empty queue says nothing.
TEST_F(SimServerTimeoutTest, StoppedForHours_aRunFindsOneThing_whoSpokeMeanwhileIsNotIdle) {
  SimOptions options;
  options.faults[SimFault::CompletionsOneByOne] = 1;
  rebuild(options);
  startWith({.idle = 10s});
  for (int i = 0; i < 200; ++i) client().connect(address()).send("hello").wait(5s).send("again");
  run(1s);
  ASSERT_EQ(ups(), 200u);
  stopFor(3h);
  run(5s);
  EXPECT_EQ(overs(), 0u);
  for (const auto& one : clients()) EXPECT_EQ(one->received(), "helloagain");
}

TEST_F(SimServerTimeoutTest, StoppedForHours_whoSaidNothing_timesOutOnce_andAtOnce) {
  startWith({.idle = 10s, .firstByte = 5s});
  crowd(500, 0ms);
  run(1s);
  stopFor(5h);
  run(kTick);
  EXPECT_EQ(timeouts(), 500u);
  run(1min);
  EXPECT_EQ(timeouts(), 500u);
  EXPECT_EQ(endedBy(CloseReason::FirstByteTimeout), 500u) << "the one that was due first";
}

TEST_F(SimServerTimeoutTest, StoppedForHours_clientsThatCameMeanwhile_areNew) {
  startWith({.idle = 10s, .firstByte = 5s});
  for (int i = 0; i < 50; ++i) client().wait(1min * i).connect(address());
  stopFor(2h);
  run(4s);
  EXPECT_EQ(ups(), 50u);
  EXPECT_EQ(overs(), 0u) << "their time begins when they are accepted";
  run(5s);
  EXPECT_EQ(timeouts(), 50u);
}

TEST_F(SimServerTimeoutTest, StoppedForHours_timersFireOnce_andKeepTheirGrid) {
  const TimePoint begin = now();
  std::vector<Duration> every;
  std::vector<Duration> once;
  loop().runEvery(1s, [&] { every.push_back(now() - begin); });
  for (int i = 0; i < 100; ++i)
    loop().runAfter(1min + 1s * i, [&] { once.push_back(now() - begin); });
  start();
  run(2500ms);
  ASSERT_EQ(every.size(), 2u);
  stopFor(4h);
  run(10ms);
  EXPECT_EQ(every.size(), 3u) << "one for all that were missed";
  EXPECT_EQ(once.size(), 100u);
  run(10s);
  EXPECT_EQ(every.size(), 13u);
  EXPECT_EQ(every.back() % 1s, 0s) << "on its grid";
  EXPECT_EQ(once.size(), 100u);
}

TEST_F(SimServerTimeoutTest, StoppedAgainAndAgain_shorterThanIdle_losesNobodyWhoTalks) {
  startWith({.idle = 1s});
  for (int i = 0; i < 100; ++i) client().connect(address()).send(std::string(60, 'x'), {1, 800ms});
  for (int i = 0; i < 50; ++i) {
    stopFor(std::chrono::milliseconds(137 * (i % 7)));
    run(50ms);
  }
  EXPECT_EQ(timeouts(), 0u);
  EXPECT_EQ(ups(), 100u);
}

}  // namespace
}  // namespace gyre
