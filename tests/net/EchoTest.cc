// What a client sends to an echo server comes back: every byte, once, in order.
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

class EchoTest : public ServerFixture {
 protected:
  // All pieces of a dialogue, with a reader that takes few bytes now and then.
  bool holdSlowly(EchoDialogue& dialogue) {
    std::size_t steps = 0;
    return runUntil([&] {
      const bool reads = ++steps % 2 == 0;
      return !dialogue.step(reads ? 64 * 1024 : 0);
    });
  }
};

TEST_F(EchoTest, PingPong_ofEverySize_comesBackExactly) {
  start();
  Peer peer = connect();
  std::size_t offset = 0;
  const std::vector<std::size_t> sizes = {1,     2,     63,    64,    65,    1023,
                                          4095,  4096,  4097,  8191,  8192,  8193,
                                          16383, 16384, 16385, 32768, 65535, 65536};
  for (const std::size_t size : sizes) {
    const std::string text = patternBytes(size, offset);
    ASSERT_TRUE(peer.send(text));
    ASSERT_EQ(peer.receive(size), text) << "of " << size << " bytes";
    offset += size;
  }
}

TEST_F(EchoTest, FullDuplex_16MiBAndASlowReader_comesBackExactly) {
  start();
  const std::string text = patternBytes(16 * kMiB);
  Peer peer = connect();
  EchoDialogue dialogue(peer, text);
  ASSERT_TRUE(holdSlowly(dialogue));
  EXPECT_TRUE(dialogue.isComplete()) << "got " << dialogue.received();
}

TEST_F(EchoTest, FiftyConnections_256KiBEachAtOnce_comeBackExactly) {
  start({.threads = 2});
  std::vector<Peer> peers = connectMany(50);
  EXPECT_EQ(countEchoed(peers, patternBytes(kMiB / 4), pump()), 50U);
}

TEST_F(EchoTest, TwoThousandConnections_comeBackExactly) {
  start({.threads = 2});
  std::vector<Peer> peers = connectMany(2000);
  EXPECT_EQ((*server()).connectionCount(), 2000U);
  EXPECT_EQ(countEchoed(peers, patternBytes(1000), pump()), 2000U);
}

TEST_F(EchoTest, FiveThousandConnectsAndCloses_leaveNoDescriptor) {
  start();
  EXPECT_TRUE(echoes());
  runUntilClosed(1);
  const std::size_t before = openDescriptors();
  for (std::size_t done = 0; done < 5000; done += 100) {
    for (int i = 0; i < 100; ++i) {
      Peer peer = connect();
      if (i % 4 == 1) peer.sendSome("and gone");
      if (i % 4 == 2) peer.reset();
    }
    ASSERT_TRUE(runUntilClosed(1 + done + 100));
  }
  EXPECT_EQ(openDescriptors(), before);
  EXPECT_EQ(loop().counters().disconnections.get(), 5001U);
  EXPECT_EQ(loop().residentCount(), 1U) << "the acceptor alone";
}

TEST_F(EchoTest, HalfClose_after16MiB_everyByteComesBackThenTheEnd) {
  start();
  const std::string text = patternBytes(16 * kMiB);
  Peer peer = connect();
  ASSERT_TRUE(peer.send(text));
  peer.halfClose();
  EXPECT_TRUE(peer.receiveToEnd() == text);
  EXPECT_TRUE(peer.hasEnded());
  EXPECT_EQ(peer.error(), 0);
}

TEST_F(EchoTest, CloseRightAfterTheLastByte_isSeenAfterAllBytes) {
  std::string got;
  start(
      {.onMessage = [&](const TcpConnectionPtr&, Buffer& in) { got += in.retrieveAllAsString(); }});
  const std::string text = patternBytes(100'000);
  {
    Peer peer = connect();
    ASSERT_EQ(peer.sendSome(text), text.size()) << "one batch for the server";
  }
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_TRUE(got == text);
}

TEST_F(EchoTest, UrgentByte_disturbsNothing) {
  start();
  Peer peer = connect();
  ASSERT_TRUE(peer.send("before"));
  peer.sendUrgent('!');
  ASSERT_TRUE(peer.send("after"));
  EXPECT_EQ(peer.receive(11), "beforeafter");
}

TEST_F(EchoTest, ListeningOnSeveralAddresses_servesAll) {
  WatchedServer server(loop(), {});
  server->addListener(InetAddress::loopbackV6(0));
  server->addListener(InetAddress("unix:@gyre-net-test-" + std::to_string(::getpid())));
  server.start();
  for (std::size_t i = 0; i < 3; ++i) {
    Peer peer = connectTo(server->listenAddress(i));
    ASSERT_TRUE(peer.send("hello"));
    EXPECT_EQ(peer.receive(5), "hello") << "at " << server->listenAddress(i).toString();
  }
}

}  // namespace
}  // namespace gyre
