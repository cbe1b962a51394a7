// Peers that ask and never read: they cost memory and nothing else. The loop sleeps, and whoever
// comes is served.
#include <algorithm>
#include <memory>
#include <vector>

#include "support/ServerFixture.h"

namespace gyre {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::size_t kPeers = 500;
// Small enough to stay in the buffer it came in, large enough to be worth it.
constexpr std::size_t kQuestion = 2000;

// Every way to answer with more than the peer takes, the question itself before or behind it.
class StalledPeersTest : public ServerFixture {
 protected:
  // Far fewer receive buffers than peers.
  ProactorOptions loopOptions() const override {
    ProactorOptions options = testProactorOptions();
    options.receiveBuffersMax = std::min(options.receiveBuffersMax, 64U);
    return options;
  }

  void startStalling() {
    ConnectionOptions options;
    options.timeouts.idle = hours(1);
    options.timeouts.writeStall = hours(1);
    start({.options = options,
           .onUp = [this](const auto& connection) { latest_ = connection; },
           .onMessage =
               [this](const auto& connection, Buffer& in) {
                 if (in.readableBytes() < kQuestion) return connection->send(in);
                 answer(connection, in);
               }});
  }

  void answer(const TcpConnectionPtr& connection, Buffer& in) {
    const std::size_t kind = answers_++ % 4;
    if (kind == 1) connection->send(large_);
    if (kind == 2) {
      for (int i = 0; i < 40; ++i) connection->send(std::string(9000, 's'));
    }
    connection->send(in);
    if (kind == 3) connection->send(large_);
  }

  // Adds a peer that asks until its answers wait for it. False when one was not answered.
  bool addStalled(std::vector<Peer>& peers) {
    latest_.reset();
    peers.push_back(connect(4096));
    if (!runUntil([&] { return latest_ != nullptr; })) return false;
    while (latest_->outputBytes() < kQuestion) {
      const std::size_t asked = answers_;
      if (!peers.back().send(std::string(kQuestion, 'q'))) return false;
      if (!runUntil([&] { return answers_ > asked; })) return false;
      runOnce();
    }
    return true;
  }

  TcpConnectionPtr latest_;
  std::size_t answers_ = 0;
  const std::shared_ptr<const std::string> large_ =
      std::make_shared<const std::string>(std::string(8 << 20, 'l'));
};

TEST_F(StalledPeersTest, TheLoopSleeps_andANewClientIsServed) {
  startStalling();
  std::vector<Peer> peers;
  for (std::size_t i = 0; i < kPeers; ++i) ASSERT_TRUE(addStalled(peers)) << i;
  settle();
  // What the set-up has left comes late on a busy machine, and then no more: a loop that spins does
  // so in every second.
  std::uint64_t iterations = 21;
  for (int second = 0; second < 10 && iterations > 20; ++second) {
    const std::uint64_t before = loop().counters().iterations.get();
    for (const TimePoint end = loop().now() + seconds(1); loop().now() < end;) loop().runOnce(end);
    iterations = loop().counters().iterations.get() - before;
  }
  EXPECT_LE(iterations, 20U);
  EXPECT_TRUE(echoes());
}

}  // namespace
}  // namespace gyre
