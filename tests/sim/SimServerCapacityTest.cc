// Churn at connectionsMax on the simulated network, with loops besides the base loop: everyone who
// comes is served, and never more at once than there are places.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "gyre/base/Log.h"
#include "gyre/server/TcpServer.h"
#include "gyre/sim/SimClient.h"
#include "gyre/sim/SimNetwork.h"
#include "sim/SimRandom.h"

namespace gyre {
namespace {

using namespace std::chrono_literals;

class SimServerCapacityTest : public testing::TestWithParam<int> {
 protected:
  static constexpr std::size_t kPlaces = 3;

  SimServerCapacityTest() { setLogLevel(LogLevel::Off); }
  ~SimServerCapacityTest() override {
    server_.reset();
    setLogLevel(LogLevel::Info);
  }

  void start(std::uint64_t seed) {
    SimOptions options;
    options.seed = seed;
    network_ = std::make_unique<SimNetwork>(options);
    for (int i = 0; i <= GetParam(); ++i) {
      loops_.push_back(
          std::make_unique<EventLoop>(network_->makeProactor("loop" + std::to_string(i))));
      EventLoop* loop = loops_.back().get();
      network_->addLoop(loop->proactor(), [loop] { loop->runOnce(kForever); });
    }
    server_ = std::make_unique<TcpServer>(loops_[0].get(), InetAddress("127.0.0.1:0"), "full");
    server_->setThreadNum(0);
    std::vector<EventLoop*> workers;
    for (std::size_t i = 1; i < loops_.size(); ++i) workers.push_back(loops_[i].get());
    server_->setLoops(workers);
    server_->setLimits({.connectionsMax = kPlaces});
    server_->setListenOptions({.backlog = 8192});
    server_->setMessageCallback([](const auto& connection, Buffer& in) { connection->send(in); });
    server_->start();
  }

  // They come in crowds, want an echo and go, each in its own way.
  void churn(std::size_t count, std::uint64_t seed) {
    SimRandom random(seed);
    Duration at = 0ms;
    for (std::size_t i = 0; i < count; ++i) {
      if (random.chance(0.1)) at += Duration(std::chrono::microseconds(random.below(20'000)));
      clients_.push_back(std::make_unique<SimClient>(*network_, "client" + std::to_string(i)));
      SimClient& one = *clients_.back();
      one.wait(at).connect(server_->listenAddress()).send("x").awaitBytes(1);
      if (random.chance(0.3)) one.wait(Duration(std::chrono::microseconds(random.below(3000))));
      random.chance(0.5) ? one.reset() : one.close();
    }
  }
  std::size_t served() const {
    return static_cast<std::size_t>(std::count_if(
        clients_.begin(), clients_.end(), [](const auto& one) { return one->received() == "x"; }));
  }
  void expectAllServed(std::size_t connections) {
    constexpr std::size_t kAtOnce = 1000;
    start(connections + static_cast<std::uint64_t>(GetParam()));
    std::size_t most = 0;
    for (std::size_t done = 0; done < connections; done += kAtOnce) {
      clients_.clear();
      churn(kAtOnce, done);
      ASSERT_TRUE(network_->runUntil(
          [&] {
            most = std::max(most, server_->connectionCount());
            return std::all_of(clients_.begin(), clients_.end(),
                               [](const auto& one) { return one->isFinished(); });
          },
          10min))
          << "after " << done << ": " << served() << " of these were served";
      ASSERT_EQ(served(), kAtOnce);
    }
    network_->runFor(1s);
    EXPECT_EQ(most, kPlaces);
    EXPECT_EQ(server_->stats().accepted, connections);
    EXPECT_EQ(server_->connectionCount(), 0U);
  }

  std::unique_ptr<SimNetwork> network_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::unique_ptr<TcpServer> server_;
};

TEST_P(SimServerCapacityTest, ChurnAtTheLimit_everyClientIsServed) { expectAllServed(5000); }

using SimServerCapacityLongTest = SimServerCapacityTest;

TEST_P(SimServerCapacityLongTest, ChurnAtTheLimit_everyClientIsServed) { expectAllServed(200'000); }

INSTANTIATE_TEST_SUITE_P(Threads, SimServerCapacityTest, testing::Range(0, 5));
INSTANTIATE_TEST_SUITE_P(Threads, SimServerCapacityLongTest, testing::Range(0, 5));

}  // namespace
}  // namespace gyre
