#include <poll.h>

#include "sim/SimFixture.h"

namespace gyre {
namespace {

class SimProactorTest : public SimFixture {};

TEST_F(SimProactorTest, Receive_peerSendsAndEnds_getsAllBytesThenZero) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  SimRecorder receive;
  engine().receive(receive.context, socket);
  EXPECT_TRUE(receive.told.empty()) << "no handler runs inside a verb";
  client.send(simPattern(100'000)).halfClose();
  ASSERT_TRUE(runUntilEnd(receive));
  EXPECT_EQ(receive.data, simPattern(100'000));
  EXPECT_EQ(receive.error(), 0);
  EXPECT_FALSE(receive.context.isInFlight());
  EXPECT_EQ(engine().counters().bytesReceived.get(), 100'000u);
  engine().close(socket);
}

TEST_F(SimProactorTest, Receive_peerResets_endsWithConnectionReset) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  SimRecorder receive;
  engine().receive(receive.context, socket);
  client.reset();
  ASSERT_TRUE(runUntilEnd(receive));
  EXPECT_EQ(receive.error(), ECONNRESET);
  EXPECT_TRUE(engine().peerAddress(socket).isUnspecified()) << "a reset socket forgets its peer";
  engine().close(socket);
}

TEST_F(SimProactorTest, Receive_oneBufferForThreeStreams_starvesAndLosesNothing) {
  rebuild({.receiveBuffers = 1, .receiveBufferSize = 512});
  std::vector<std::unique_ptr<SimClient>> clients;
  std::array<SimRecorder, 3> receives;
  std::vector<SocketHandle> sockets;
  for (SimRecorder& receive : receives) {
    clients.push_back(std::make_unique<SimClient>(network(), "client"));
    sockets.push_back(acceptFrom(*clients.back()));
    engine().receive(receive.context, sockets.back());
  }
  for (auto& client : clients) client->send(simPattern(50'000)).halfClose();
  for (const SimRecorder& receive : receives) {
    ASSERT_TRUE(runUntilEnd(receive));
    EXPECT_EQ(receive.data, simPattern(50'000));
  }
  EXPECT_GT(engine().counters().receivesStarved.get(), 0u);
  const auto& counters = engine().counters();
  EXPECT_LE(counters.receivesStarved.get(), 2 * counters.completed(IoKind::Receive).get());
  for (const SocketHandle socket : sockets) engine().close(socket);
}

TEST_F(SimProactorTest, Receive_completionQueueOfTwo_overflowsAndLosesNothing) {
  rebuild({.receiveBuffers = 64, .receiveBufferSize = 64, .completionEntries = 2});
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  SimRecorder receive;
  engine().receive(receive.context, socket);
  client.send(simPattern(20'000)).halfClose();
  ASSERT_TRUE(runUntilEnd(receive));
  EXPECT_EQ(receive.data, simPattern(20'000));
  EXPECT_GT(engine().counters().overflows.get(), 0u);
  EXPECT_GT(engine().counters().rearms.get(), 0u);
  engine().close(socket);
}

TEST_F(SimProactorTest, Receive_cancelled_deliversWhatWasTakenBeforeThenECANCELED) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  client.send(simPattern(1000));
  ASSERT_TRUE(runUntil([&] { return client.bytesSent() == 1000; }));
  network().runFor(1s);
  SimRecorder receive;
  engine().receive(receive.context, socket);
  engine().cancel(receive.context);
  EXPECT_TRUE(receive.context.isCancelRequested());
  ASSERT_TRUE(runUntilEnd(receive));
  EXPECT_EQ(receive.data, simPattern(1000));
  EXPECT_EQ(receive.error(), ECANCELED);
  engine().close(socket);
}

// The kernel looks at the cancel late, and ends the stream before it does.
TEST_F(SimProactorTest, Cancel_streamEndsMeanwhile_isNotArmedAgain) {
  SimOptions options;
  options.faults[SimFault::CancelDelayed] = options.faults[SimFault::StreamEnded] = 1;
  rebuild(options);
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  SimRecorder receive;
  engine().receive(receive.context, socket);
  client.send("before");
  ASSERT_TRUE(runUntil([&] { return receive.data == "before"; }));
  engine().cancel(receive.context);
  client.send("after");
  bool isArmedAgain = false;
  network().setTraceSink([&isArmedAgain](std::string_view line) {
    if (line.find("is armed again") != std::string_view::npos) isArmedAgain = true;
  });
  network().runFor(20ms);
  ASSERT_TRUE(receive.hasEnded());
  EXPECT_EQ(receive.data, "beforeafter");
  EXPECT_EQ(receive.error(), ECANCELED);
  EXPECT_FALSE(isArmedAgain);
  network().setTraceSink({});
  engine().close(socket);
}

TEST_F(SimProactorTest, ReceiveInto_bytesThenEnd_oneCompletionEach) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  std::array<char, 64> into{};
  SimRecorder receive;
  engine().receiveInto(receive.context, socket, into);
  client.send("hello").halfClose();
  ASSERT_TRUE(runUntilEnd(receive));
  EXPECT_EQ(std::string_view(into.data(), receive.bytes()), "hello");
  engine().receiveInto(receive.context, socket, into);
  ASSERT_TRUE(runUntil([&] { return receive.told.size() == 2; }));
  EXPECT_EQ(receive.bytes(), 0u);
  EXPECT_EQ(receive.error(), 0);
  engine().close(socket);
}

TEST_F(SimProactorTest, Send_peerStalls_completesOnceItReads) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  client.stall();
  const std::string bytes = simPattern(kSendBytesMax);
  SimRecorder send;
  SimFixture::send(send, socket, bytes);
  settle();
  EXPECT_TRUE(send.context.isInFlight()) << "two windows of 64 KiB hold it back";
  EXPECT_EQ(client.bytesReceived(), 0u);
  client.resume();
  ASSERT_TRUE(runUntilEnd(send));
  EXPECT_EQ(send.bytes(), bytes.size());
  ASSERT_TRUE(runUntil([&] { return client.bytesReceived() == bytes.size(); }));
  EXPECT_EQ(client.received(), bytes);
  engine().close(socket);
}

TEST_F(SimProactorTest, Send_cancelledHalfway_tellsHowMuchWasSent) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  client.stall();
  const std::string bytes = simPattern(kSendBytesMax);
  SimRecorder send;
  SimFixture::send(send, socket, bytes);
  settle();
  engine().cancel(send.context);
  ASSERT_TRUE(runUntilEnd(send));
  EXPECT_EQ(send.error(), ECANCELED);
  EXPECT_EQ(send.bytes(), 128u * 1024);
  EXPECT_EQ(network().statistics()[SimFault::CancelledSend], 1u);
  client.resume();
  ASSERT_TRUE(runUntil([&] { return client.bytesReceived() == send.bytes(); }));
  engine().close(socket);
}

TEST_F(SimProactorTest, Send_manySlices_arriveInOrder) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  const std::string bytes = simPattern(kSendSlicesMax * 100);
  std::array<IoSlice, kSendSlicesMax> slices;
  for (std::size_t i = 0; i < slices.size(); ++i) slices[i] = {bytes.data() + i * 100, 100};
  SimRecorder send;
  engine().send(send.context, socket, slices);
  slices = {};  // the slices are copied, what they point to is not
  ASSERT_TRUE(runUntil([&] { return client.bytesReceived() == bytes.size(); }));
  EXPECT_EQ(client.received(), bytes);
  EXPECT_EQ(send.told.size(), 1u);
  engine().close(socket);
}

TEST_F(SimProactorTest, Send_peerHasReset_failsWithBytesDone) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  client.stall();
  const std::string bytes = simPattern(kSendBytesMax);
  SimRecorder send;
  SimFixture::send(send, socket, bytes);
  settle();
  client.reset();
  ASSERT_TRUE(runUntilEnd(send));
  EXPECT_EQ(send.error(), ECONNRESET);
  EXPECT_EQ(send.bytes(), 128u * 1024);
  SimRecorder again;
  SimFixture::send(again, socket, "x");
  ASSERT_TRUE(runUntilEnd(again));
  EXPECT_EQ(again.error(), EPIPE);
  engine().close(socket);
}

TEST_F(SimProactorTest, ShutdownWrite_afterSend_peerGetsAllThenTheEnd) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  const std::string bytes = simPattern(50'000);
  SimRecorder send;
  SimFixture::send(send, socket, bytes);
  ASSERT_TRUE(runUntilEnd(send));
  EXPECT_EQ(engine().shutdownWrite(socket), 0);
  ASSERT_TRUE(runUntil([&] { return client.hasEnded(); }));
  EXPECT_EQ(client.received(), bytes);
  SimRecorder late;
  SimFixture::send(late, socket, "x");
  ASSERT_TRUE(runUntilEnd(late));
  EXPECT_EQ(late.error(), EPIPE);
  engine().close(socket);
}

TEST_F(SimProactorTest, ShutdownBoth_inFlight_endsReceiveAndSend) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  client.stall();
  const std::string bytes = simPattern(kSendBytesMax);
  SimRecorder send;
  SimRecorder receive;
  SimFixture::send(send, socket, bytes);
  engine().receive(receive.context, socket);
  settle();
  EXPECT_EQ(engine().shutdownBoth(socket), 0);
  EXPECT_TRUE(send.told.empty() && receive.told.empty()) << "no handler runs inside a verb";
  ASSERT_TRUE(runUntilEnd(send) && runUntilEnd(receive));
  EXPECT_EQ(send.error(), EPIPE);
  EXPECT_EQ(receive.error(), 0);
  engine().close(socket);
}

TEST_F(SimProactorTest, Poll_hangUp_isTold) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  SimRecorder poll;
  engine().poll(poll.context, socket, 0);
  settle();
  EXPECT_TRUE(poll.context.isInFlight());
  client.reset();
  ASSERT_TRUE(runUntilEnd(poll));
  EXPECT_EQ(poll.told.back().events, static_cast<std::uint32_t>(POLLERR | POLLHUP));
  engine().close(socket);
}

TEST_F(SimProactorTest, Poll_readable_isToldWithoutTakingBytes) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  SimRecorder poll;
  engine().poll(poll.context, socket, POLLIN | POLLRDHUP);
  client.send("hello");
  ASSERT_TRUE(runUntilEnd(poll));
  EXPECT_EQ(poll.told.back().events, static_cast<std::uint32_t>(POLLIN));
  SimRecorder receive;
  engine().receive(receive.context, socket);
  client.halfClose();
  ASSERT_TRUE(runUntilEnd(receive));
  EXPECT_EQ(receive.data, "hello");
  engine().close(socket);
}

TEST_F(SimProactorTest, Read_event_takesTheCounter) {
  const int fd = network().openEvent();
  const SocketHandle handle = engine().adopt(fd);
  ASSERT_TRUE(handle.isValid());
  std::uint64_t value = 0;
  SimRecorder read;
  engine().read(read.context, handle, {reinterpret_cast<char*>(&value), sizeof value});
  settle();
  EXPECT_TRUE(read.told.empty());
  network().signalEvent(fd, 2);
  network().signalEvent(fd, 3);
  ASSERT_TRUE(runUntilEnd(read));
  EXPECT_EQ(read.bytes(), sizeof value);
  EXPECT_GE(value, 2u);
  EXPECT_LE(value, 5u);
  engine().close(handle);
}

TEST_F(SimProactorTest, Adopt_realDescriptor_isRefused) {
  EXPECT_EQ(engine().adopt(1).error(), EBADF);
}

TEST_F(SimProactorTest, LentBytes_handlerReturned_areGarbage) {
  SimClient client(network(), "client");
  const SocketHandle socket = acceptFrom(client);
  SimRecorder receive;
  engine().receive(receive.context, socket);
  client.send("hello");
  ASSERT_TRUE(runUntil([&] { return !receive.told.empty(); }));
  const volatile char* stale = receive.told.front().data;
#ifdef __SANITIZE_ADDRESS__
  EXPECT_DEATH({ EXPECT_NE(stale[0], 'h'); }, "use-after-poison");
#else
  for (int i = 0; i < 5; ++i) EXPECT_EQ(static_cast<unsigned char>(stale[i]), 0xDD);
#endif
  engine().cancel(receive.context);
  ASSERT_TRUE(runUntilEnd(receive));
  engine().close(socket);
}

}  // namespace
}  // namespace gyre
