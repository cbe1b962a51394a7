// More clients than descriptors: the others wait in the backlog, at no cost, and have their turn.
// The server is a process of its own that may have 64 descriptors.
#include <cstdio>
#include <optional>
#include <thread>
#include <vector>

#include "support/LoopFixture.h"
#include "support/Peer.h"
#include "support/ServerProcess.h"

namespace gyre {
namespace {

constexpr std::size_t kDescriptors = 64;
constexpr std::size_t kClients = 300;

class DescriptorLimitTest : public LoopFixture {
 protected:
  void SetUp() override {
    LoopFixture::SetUp();
    if (IsSkipped()) return;
    remote_.emplace(ServerProcess::Options{.descriptors = kDescriptors});
    for (std::size_t i = 0; i < kClients; ++i) {
      peers_.emplace_back(remote_->address());
      ASSERT_TRUE(peers_.back().send("hello"));
    }
  }
  void TearDown() override {
    peers_.clear();
    remote_.reset();
    LoopFixture::TearDown();
  }

  // All that can be accepted have been when accepting has paused again. How many are connected.
  std::size_t waitForPause(std::uint64_t failuresBefore) {
    const auto limit = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < limit) {
      const ServerProcess::Counters counters = remote_->counters();
      const bool hasPaused = counters.acceptsNoDescriptors > failuresBefore;
      if (hasPaused) return counters.accepts - counters.disconnections;
      std::this_thread::yield();
    }
    ADD_FAILURE() << "accepting did not pause";
    return 0;
  }
  // Has the next `count` clients served, those of the oldest connects.
  void expectServed(std::size_t count) {
    ASSERT_LE(served_ + count, peers_.size());
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(peers_[served_ + i].receive(5), "hello") << "client " << served_ + i;
    }
    served_ += count;
  }
  void closeServed(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) peers_[closed_++].close();
  }

  std::optional<ServerProcess> remote_;
  std::vector<Peer> peers_;
  std::size_t served_ = 0;
  std::size_t closed_ = 0;
};

TEST_F(DescriptorLimitTest, ClientsAboveTheLimit_waitWithoutCost) {
  const std::size_t room = waitForPause(0);
  EXPECT_GT(room, kDescriptors / 2);
  EXPECT_LT(room, kDescriptors);
  expectServed(room);
  const ServerProcess::Counters before = remote_->counters();
  // What is measured is what it does while time passes.
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const ServerProcess::Counters after = remote_->counters();
  const std::uint64_t failures = after.acceptsNoDescriptors - before.acceptsNoDescriptors;
  const std::uint64_t iterations = after.iterations - before.iterations;
  std::printf("in a second: %llu failed accepts, %llu iterations\n",
              static_cast<unsigned long long>(failures),
              static_cast<unsigned long long>(iterations));
  EXPECT_LE(failures, 25U);
  EXPECT_LE(iterations, 100U);
  EXPECT_EQ(after.accepts, room);
  char byte = 0;
  EXPECT_EQ(peers_.back().receiveSome({&byte, 1}), 0U) << "the last one waits";
  EXPECT_EQ(peers_.back().error(), 0);
  EXPECT_FALSE(peers_.back().hasEnded());
}

TEST_F(DescriptorLimitTest, EachClose_letsAnotherIn) {
  const std::size_t room = waitForPause(0);
  expectServed(room);
  for (int i = 0; i < 20; ++i) {
    closeServed(1);
    expectServed(1);
  }
  EXPECT_EQ(remote_->counters().accepts, room + 20);
}

TEST_F(DescriptorLimitTest, AllClosingAtOnce_letTheNextIn_untilAllWereServed) {
  const std::size_t room = waitForPause(0);
  expectServed(room);
  while (closed_ < kClients) {
    closeServed(served_ - closed_);
    expectServed(std::min(room, kClients - served_));
  }
  EXPECT_EQ(remote_->counters().accepts, kClients);
}

}  // namespace
}  // namespace gyre
