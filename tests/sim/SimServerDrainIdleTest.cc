// Draining without a callback, in virtual time: a connection between requests is closed soon, one
// amid a request is served first.
#include "sim/SimServerFixture.h"

namespace gyre {
namespace {

class SimServerDrainIdleTest : public SimServerFixture {
 protected:
  static constexpr Duration kLook = kTick + kCoarse;  // how exact a timeout is

  void drain(Duration limit = 1h) {
    drainedAt_ = now();
    loop().queueInLoop([this, limit] { server().drain(limit, [this] { doneAt_ = now(); }); });
  }
  bool isDone() const { return doneAt_ != TimePoint(); }
  Duration lasted() const { return doneAt_ - drainedAt_; }
  // Sends it and reads what comes back, to the end of the stream.
  SimClient& ask(const std::string& text) {
    SimClient& one = client();
    one.connect(address()).send(text).awaitEnd().close();
    EXPECT_TRUE(runUntil([&] { return one.received() == text; }));
    return one;
  }

  TimePoint drainedAt_;
  TimePoint doneAt_;
};

TEST_F(SimServerDrainIdleTest, Idle_areClosedGracefullyAtOnce) {
  start();
  for (int i = 0; i < 100; ++i) ask("hello");
  run(10s);
  drain();
  run(1min);
  ASSERT_TRUE(isDone());
  EXPECT_LE(lasted(), kLook);
  EXPECT_EQ(endedBy(CloseReason::Drained), 100u);
  for (const auto& one : clients()) EXPECT_TRUE(one->hasEnded() && !one->wasReset());
  EXPECT_EQ(timeouts(), 0u);
}

TEST_F(SimServerDrainIdleTest, ActiveAMomentAgo_haveTheRestOfASecond) {
  start();
  ask("hello");
  run(400ms);
  drain();
  run(1min);
  ASSERT_TRUE(isDone());
  EXPECT_GE(lasted(), 500ms);
  EXPECT_LE(lasted(), 600ms + kLook);
}

TEST_F(SimServerDrainIdleTest, Busy_areServedUntilTheyPause) {
  start();
  SimClient& busy = client();
  busy.connect(address()).send(std::string(20, 'x'), {1, 500ms}).awaitEnd().close();
  run(10ms);
  drain();
  run(1min);
  ASSERT_TRUE(isDone());
  EXPECT_EQ(busy.received(), std::string(20, 'x'));
  EXPECT_GE(lasted(), 10s);
  EXPECT_LE(lasted(), 11s + kLook);
}

TEST_F(SimServerDrainIdleTest, HalfARequest_isWaitedFor) {
  start({.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    if (in.readableBytes() == 10) connection->send(in);
  }});
  SimClient& slow = client();
  slow.connect(address()).send("hello").wait(20s).send("world").awaitEnd().close();
  run(10ms);
  drain();
  run(1min);
  ASSERT_TRUE(isDone());
  EXPECT_EQ(slow.received(), "helloworld");
  EXPECT_EQ(endedBy(CloseReason::Drained), 1u);
  EXPECT_LE(lasted(), 21s + kLook + kLook);
}

TEST_F(SimServerDrainIdleTest, AnAnswerThatIsReadSlowly_arrivesWhole) {
  const std::string answer(2'000'000, 'a');
  start({.onMessage = [&answer](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->send(answer);
  }});
  SimClient& slow = client();
  slow.setReadPace({64 * 1024, 2s}).connect(address()).send("?").awaitEnd().close();
  run(10ms);
  drain();
  run(10min);
  ASSERT_TRUE(isDone());
  EXPECT_EQ(slow.received(), answer);
  EXPECT_FALSE(slow.wasReset());
}

TEST_F(SimServerDrainIdleTest, WithReadingStopped_workIsUnderWay_untilTheDeadline) {
  start({.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    in.retrieveAll();
    connection->stopRead();
  }});
  client().connect(address()).send("?").awaitEnd().close();
  run(10s);
  drain(30s);
  run(29s);
  EXPECT_FALSE(isDone());
  run(2s);
  ASSERT_TRUE(isDone());
  EXPECT_EQ(endedBy(CloseReason::Aborted), 1u);
}

TEST_F(SimServerDrainIdleTest, WithoutTheTimeout_theyStay) {
  ConnectionOptions options;
  options.timeouts.drainIdle = {};
  start({.options = options});
  ask("hello");
  drain(30s);
  run(29s);
  EXPECT_FALSE(isDone());
  run(2s);
  EXPECT_TRUE(isDone());
}

}  // namespace
}  // namespace gyre
