// A protocol over a stream: however the bytes are cut, the messages are the same.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

// Four bytes of length, then so many bytes.
std::string frame(std::string_view body) {
  Buffer buffer;
  buffer.appendInt32(static_cast<std::int32_t>(body.size()));
  buffer.append(body);
  return buffer.retrieveAllAsString();
}

// The whole frames of a buffer, and what is left stays there.
void parseFrames(Buffer& in, const std::function<void(std::string)>& onBody) {
  while (in.readableBytes() >= sizeof(std::int32_t)) {
    const auto size = static_cast<std::size_t>(in.peekInt32());
    if (in.readableBytes() < sizeof(std::int32_t) + size) return;
    in.retrieveInt32();
    onBody(in.retrieveAsString(size));
  }
}

// Printed, so that a failure can be replayed: GYRE_TEST_SEED=n.
std::uint32_t testSeed() {
  const char* wanted = std::getenv("GYRE_TEST_SEED");
  const std::uint32_t seed = wanted != nullptr
                                 ? static_cast<std::uint32_t>(std::strtoul(wanted, nullptr, 10))
                                 : std::random_device()();
  std::printf("GYRE_TEST_SEED=%u\n", seed);
  return seed;
}

class ProtocolTest : public ServerFixture {
 protected:
  void startFramed(ConnectionOptions options = {}) {
    start({.options = options, .onMessage = [this](const TcpConnectionPtr& connection, Buffer& in) {
             parseFrames(in, [&](std::string body) {
               bodies_.push_back(body);
               std::reverse(body.begin(), body.end());
               connection->send(frame(body));
             });
           }});
  }

  // Each piece is taken by the server before the next is sent.
  void sendInPieces(Peer& peer, std::string_view stream, std::vector<std::size_t> cuts) {
    cuts.push_back(stream.size());
    std::size_t from = 0;
    const std::uint64_t before = loop().counters().bytesReceived.get();
    for (const std::size_t to : cuts) {
      ASSERT_TRUE(peer.send(stream.substr(from, to - from)));
      const auto isTaken = [&] { return loop().counters().bytesReceived.get() == before + to; };
      while (!isTaken()) runOnce();
      from = to;
    }
  }

  std::vector<std::string> bodies_;
};

TEST_F(ProtocolTest, Frames_cutAnywhere_areTheSame) {
  startFramed();
  const std::vector<std::string> expected = {"", "a", "four", "a longer body"};
  std::string stream;
  std::string answer;
  for (std::string body : expected) {
    stream += frame(body);
    std::reverse(body.begin(), body.end());
    answer += frame(body);
  }
  Peer peer = connect();
  const auto check = [&](const std::vector<std::size_t>& cuts) {
    bodies_.clear();
    sendInPieces(peer, stream, cuts);
    ASSERT_EQ(peer.receive(answer.size()), answer);
    ASSERT_EQ(bodies_, expected) << "cut at " << testing::PrintToString(cuts);
  };
  // Every pair of cuts, equal ones included: in two and in three pieces.
  for (std::size_t first = 1; first < stream.size(); ++first) {
    for (std::size_t second = first; second < stream.size(); ++second) check({first, second});
  }
  std::vector<std::size_t> everywhere;
  for (std::size_t at = 1; at < stream.size(); ++at) everywhere.push_back(at);
  check(everywhere);
}

TEST_F(ProtocolTest, LargeFrames_cutAtRandom_areTheSame) {
  startFramed();
  std::mt19937 random(testSeed());
  std::vector<std::string> expected;
  std::string stream;
  for (int i = 0; i < 60; ++i) {
    expected.push_back(patternBytes(random() % 30'000, random()));
    stream += frame(expected.back());
  }
  Peer peer = connect();
  for (int round = 0; round < 5; ++round) {
    std::vector<std::size_t> cuts(40);
    for (std::size_t& cut : cuts) cut = random() % stream.size();
    std::sort(cuts.begin(), cuts.end());
    bodies_.clear();
    sendInPieces(peer, stream, cuts);
    ASSERT_TRUE(runUntil([&] { return bodies_.size() == expected.size(); }));
    ASSERT_TRUE(bodies_ == expected);
    ASSERT_EQ(peer.receive(stream.size()).size(), stream.size());
  }
}

// With the usual sizes: where a single stream can take all receive buffers there are, it does.
class ProtocolFairnessTest : public ProtocolTest {
 protected:
  ProactorOptions loopOptions() const override { return usualProactorOptions(); }
};

// A burst on one connection: answered in order, while another one is not made to wait for its end.
TEST_F(ProtocolFairnessTest,
       TenThousandPipelinedFrames_areAnsweredInOrder_othersAreServedMeanwhile) {
  startFramed();
  std::vector<Peer> peers = connectMany(2);
  std::string burst;
  std::string answer;
  for (int i = 0; i < 10'000; ++i) {
    std::string body = "message " + std::to_string(i) + std::string(50, '.');
    burst += frame(body);
    std::reverse(body.begin(), body.end());
    answer += frame(body);
  }
  const std::size_t sent = peers[0].sendSome(burst);
  ASSERT_GT(sent, 100'000U);
  ASSERT_TRUE(peers[1].send(frame("ping")));
  const std::uint64_t before = loop().counters().iterations.get();
  EXPECT_EQ(peers[1].receive(8), frame("gnip"));
  const std::uint64_t iterations = loop().counters().iterations.get() - before;
  std::printf("iterations that another connection waited during the burst: %llu\n",
              static_cast<unsigned long long>(iterations));
  EXPECT_LE(iterations, 10U);

  ASSERT_TRUE(peers[0].send(std::string_view(burst).substr(sent)));
  EXPECT_TRUE(peers[0].receive(answer.size()) == answer);
}

TEST_F(ProtocolTest, FrameThatNeverEnds_costsItsBytesOnly) {
  startFramed();
  Peer stalled = connect();
  ASSERT_TRUE(stalled.send(frame(std::string(1000, 'x')).substr(0, 500)));
  Peer peer = connect();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(peer.send(frame("others")));
    EXPECT_EQ(peer.receive(10), frame("srehto"));
  }
  stalled.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(bodies_.size(), 10U);
}

TEST_F(ProtocolTest, FrameLargerThanTheInputLimit_isHeldBack) {
  startFramed({.inputLimit = 100'000});
  Peer peer = connect();
  const std::string huge = frame(std::string(64 * 1024 * 1024, 'x'));
  EXPECT_LT(peer.sendUntilStalled(huge), huge.size());
  EXPECT_LT(loop().counters().bytesReceived.get(), 4U * 1024 * 1024);
}

}  // namespace
}  // namespace gyre
