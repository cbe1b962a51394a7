#include "sim/SimFixture.h"

namespace gyre {
namespace {

class SimClientTest : public SimFixture {};

TEST_F(SimClientTest, Connect_nobodyListens_scriptEndsAndCanBeginAgain) {
  SimClient client(network(), "client");
  bool called = false;
  client.connect(InetAddress("127.0.0.1:1")).then([&](SimClient&) { called = true; });
  ASSERT_TRUE(runUntil([&] { return client.isFinished(); }));
  EXPECT_EQ(client.connectError(), ECONNREFUSED);
  EXPECT_FALSE(called);
  engine().close(acceptFrom(client));
  EXPECT_EQ(client.connectError(), 0);
}

TEST_F(SimClientTest, Send_serverDoesNotReceive_isHeldBackByBothWindows) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  client.send(simPattern(1 << 20));
  settle();
  EXPECT_EQ(client.bytesSent(), 128u * 1024);
  EXPECT_FALSE(client.isFinished());
  SimRecorder receive;
  engine().receive(receive.context, socket);
  ASSERT_TRUE(runUntil([&] { return receive.data.size() == 1 << 20; }));
  EXPECT_EQ(receive.data, simPattern(1 << 20));
  client.close();
  ASSERT_TRUE(runUntilEnd(receive));
  engine().close(socket);
}

TEST_F(SimClientTest, Close_serverHasUnreadBytes_clientIsResetAndLosesWhatItHasNotRead) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  client.stall().send("unread");
  const std::string answer = simPattern(1000);
  SimRecorder send;
  SimFixture::send(send, socket, answer);
  ASSERT_TRUE(runUntilEnd(send));
  settle();
  engine().close(socket);
  ASSERT_TRUE(runUntil([&] { return client.wasReset(); }));
  client.resume();
  settle();
  EXPECT_EQ(client.received(), "");
  EXPECT_EQ(network().statistics()[SimFault::ClosedUnread], 1u);
}

TEST_F(SimClientTest, Close_bytesStillArrive_clientIsReset) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  engine().close(socket);
  client.send("late");
  ASSERT_TRUE(runUntil([&] { return client.wasReset(); }));
}

TEST_F(SimClientTest, Close_nothingUnread_clientGetsAllThenTheEnd) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  client.stall();
  const std::string answer = simPattern(100'000);
  SimRecorder send;
  SimFixture::send(send, socket, answer);
  ASSERT_TRUE(runUntilEnd(send));
  engine().close(socket);
  settle();
  client.resume();
  ASSERT_TRUE(runUntil([&] { return client.hasEnded(); }));
  EXPECT_EQ(client.received(), answer);
  EXPECT_FALSE(client.wasReset());
}

TEST_F(SimClientTest, Close_lingerZero_resetsAtOnce) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  EXPECT_EQ(engine().setOption(socket, SocketOption::LingerZero, 1), 0);
  engine().close(socket);
  ASSERT_TRUE(runUntil([&] { return client.wasReset(); }));
}

TEST_F(SimClientTest, HalfClose_serverAnswersAfterwards_clientReadsIt) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  SimRecorder receive;
  engine().receive(receive.context, socket);
  client.halfClose().awaitBytes(2).awaitEnd();
  ASSERT_TRUE(runUntilEnd(receive));
  EXPECT_EQ(receive.error(), 0);
  SimRecorder send;
  SimFixture::send(send, socket, "ok");
  ASSERT_TRUE(runUntilEnd(send));
  EXPECT_FALSE(client.isFinished());
  engine().close(socket);
  ASSERT_TRUE(runUntil([&] { return client.isFinished(); }));
  EXPECT_EQ(client.received(), "ok");
  EXPECT_TRUE(client.hasEnded());
  EXPECT_EQ(network().statistics()[SimFault::HalfClosedUnsent], 1u);
}

TEST_F(SimClientTest, Pace_oneByteASecond_takesVirtualSeconds) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  SimRecorder receive;
  engine().receive(receive.context, socket);
  const TimePoint begin = network().now();
  client.send("0123456789", {.bytes = 1, .pause = 1s}).close();
  ASSERT_TRUE(runUntilEnd(receive));
  EXPECT_EQ(receive.data, "0123456789");
  EXPECT_GE(network().now() - begin, 9s);
  EXPECT_GE(receive.told.size(), 11u);
  engine().close(socket);
}

TEST_F(SimClientTest, ReadPace_slowReader_getsEverythingInTheEnd) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  client.setReadPace({.bytes = 1000, .pause = 1s});
  const std::string bytes = simPattern(200'000);
  SimRecorder send;
  SimFixture::send(send, socket, bytes);
  const TimePoint begin = network().now();
  ASSERT_TRUE(runUntilEnd(send));
  EXPECT_GE(network().now() - begin, 60s) << "the windows take 128 KiB, the rest waits";
  ASSERT_TRUE(runUntil([&] { return client.bytesReceived() == bytes.size(); }));
  EXPECT_EQ(client.received(), bytes);
  engine().close(socket);
}

TEST_F(SimClientTest, Wait_takesExactlyThatLong) {
  SimClient client(network(), "client");
  const TimePoint begin = network().now();
  std::vector<Duration> times;
  const auto note = [&](SimClient&) { times.push_back(network().now() - begin); };
  client.then(note).wait(5s).then(note).wait(1ns).then(note);
  ASSERT_TRUE(runUntil([&] { return client.isFinished(); }));
  EXPECT_THAT(times, testing::ElementsAre(0s, 5s, 5s + 1ns));
}

TEST_F(SimClientTest, Then_appendsSteps_theyArePlayedAtTheEnd) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  std::vector<std::string> order;
  client.then([&](SimClient& self) {
    order.push_back("first");
    self.then([&](SimClient&) { order.push_back("third"); });
  });
  client.wait(5s).then([&](SimClient&) { order.push_back("second"); });
  ASSERT_TRUE(runUntil([&] { return client.isFinished(); }));
  EXPECT_THAT(order, testing::ElementsAre("first", "second", "third"));
  engine().close(socket);
}

TEST_F(SimClientTest, Destructor_open_endsTheConnection) {
  auto client = std::make_unique<SimClient>(network(), "client");
  const SocketHandle socket = acceptFrom(*client);
  SimRecorder receive;
  engine().receive(receive.context, socket);
  client.reset();
  ASSERT_TRUE(runUntilEnd(receive));
  EXPECT_EQ(receive.error(), 0);
  engine().close(socket);
}

}  // namespace
}  // namespace gyre
