// SimServerFixture: a production server on a simulated loop, scripted clients around it, and the
// virtual times at which things happened.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gyre/base/Log.h"
#include "gyre/server/TcpServer.h"
#include "gyre/sim/SimClient.h"
#include "gyre/sim/SimNetwork.h"

namespace gyre {

using namespace std::chrono_literals;

// What a server does; without callbacks it echoes.
struct SimServerScript {
  ConnectionOptions options = {};
  ServerLimits limits = {};
  ListenOptions listen = {};
  ConnectionCallback onUp = {};
  MessageCallback onMessage = [](const auto& connection, Buffer& in) { connection->send(in); };
  HalfCloseCallback onHalfClose = {};
  DrainCallback onDrain = {};
};

// What became of one connection.
struct SimLife {
  TcpConnectionPtr connection;
  TimePoint upAt{};
  TimePoint downAt{};
  bool isOver = false;
  CloseReason reason = CloseReason::None;
  int error = 0;

  Duration lasted() const { return downAt - upAt; }
};

class SimServerFixture : public testing::Test {
 protected:
  static constexpr Duration kTick = 100ms;  // the loop's default
  // A moment is kept to about a millisecond, and a segment takes a tenth of one.
  static constexpr Duration kCoarse = 3ms;

  SimServerFixture() {
    setLogLevel(LogLevel::Off);
    rebuild({});
  }
  ~SimServerFixture() override { setLogLevel(LogLevel::Info); }

  // Everything anew, with other options.
  void rebuild(const SimOptions& options) {
    end();
    network_ = std::make_unique<SimNetwork>(options);
    loop_ = std::make_unique<EventLoop>(network_->makeProactor("loop"));
    EventLoop* loop = loop_.get();
    network_->addLoop(loop->proactor(), [loop] { loop->runOnce(kForever); });
  }
  void start(SimServerScript script = {});
  void destroyServer() { server_.reset(); }
  bool hasServer() const { return server_ != nullptr; }

  SimNetwork& network() { return *network_; }
  EventLoop& loop() { return *loop_; }
  TcpServer& server() { return *server_; }
  ServerStats stats() { return server_->stats(); }
  InetAddress address() { return server_->listenAddress(); }
  TimePoint now() { return network_->now(); }

  // Lives until the end of the test.
  SimClient& client() {
    clients_.push_back(
        std::make_unique<SimClient>(*network_, "client" + std::to_string(clients_.size())));
    return *clients_.back();
  }
  // The same, connected. It closes as soon as the server does.
  SimClient& connect() {
    SimClient& one = client();
    one.connect(address());
    EXPECT_TRUE(runUntil([&one] { return one.isConnected(); }));
    run(1ms);  // accepted, too
    return one;
  }
  const std::vector<std::unique_ptr<SimClient>>& clients() const { return clients_; }

  bool runUntil(const std::function<bool()>& predicate, Duration timeout = 24h) {
    return network_->runUntil(predicate, timeout);
  }
  void run(Duration duration) { network_->runFor(duration); }
  // The loop's thread gets no processor for so long, and the world goes on: SIGSTOP, a suspend.
  void stopFor(Duration duration) {
    bool isOver = false;
    loop_->queueInLoop([this, duration, &isOver] {
      network_->runFor(duration);
      isOver = true;
    });
    ASSERT_TRUE(runUntil([&isOver] { return isOver; }));
  }

  std::map<std::uint64_t, SimLife>& lives() { return lives_; }
  SimLife& life(std::uint64_t id) { return lives_.at(id); }
  std::size_t ups() const { return lives_.size(); }
  std::size_t overs() const {
    return count([](const SimLife& life) { return life.isOver; });
  }
  std::size_t endedBy(CloseReason reason) const {
    return count([reason](const SimLife& life) { return life.isOver && life.reason == reason; });
  }
  std::uint64_t timeouts() { return loop_->counters().timeouts.get(); }
  std::uint64_t iterations() { return loop_->counters().iterations.get(); }

  // Whatever the test did, nothing of it is left.
  void TearDown() override;

 private:
  template <typename Predicate>
  std::size_t count(Predicate predicate) const {
    std::size_t number = 0;
    for (const auto& [id, life] : lives_) number += predicate(life) ? 1 : 0;
    return number;
  }
  void end() {
    server_.reset();
    clients_.clear();
    loop_.reset();
    lives_.clear();
    network_.reset();
  }

  std::unique_ptr<SimNetwork> network_;
  std::unique_ptr<EventLoop> loop_;
  std::map<std::uint64_t, SimLife> lives_;  // by connection id
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::unique_ptr<TcpServer> server_;
};

inline void SimServerFixture::start(SimServerScript script) {
  server_ = std::make_unique<TcpServer>(loop_.get(), InetAddress("127.0.0.1:0"), "simulated");
  server_->setThreadNum(0);
  server_->setConnectionOptions(script.options);
  server_->setLimits(script.limits);
  server_->setListenOptions(script.listen);
  server_->setConnectionCallback(
      [this, up = std::move(script.onUp)](const TcpConnectionPtr& connection) {
        SimLife& life = lives_[connection->id()];
        if (!connection->connected()) {
          life.downAt = network_->now();
          return;
        }
        EXPECT_EQ(life.connection, nullptr) << "a connection comes up once";
        life.connection = connection;
        life.upAt = network_->now();
        if (up) up(connection);
      });
  server_->setCloseCallback([this](const TcpConnectionPtr& connection) {
    SimLife& life = lives_.at(connection->id());
    EXPECT_FALSE(std::exchange(life.isOver, true)) << "a connection closes once";
    life.reason = connection->closeReason();
    life.error = connection->error();
  });
  server_->setMessageCallback(std::move(script.onMessage));
  if (script.onHalfClose) server_->setHalfCloseCallback(std::move(script.onHalfClose));
  if (script.onDrain) server_->setDrainCallback(std::move(script.onDrain));
  server_->start();
}

inline void SimServerFixture::TearDown() {
  destroyServer();
  EXPECT_EQ(overs(), ups()) << "each connection that came up has closed";
  const SimStatistics& statistics = network_->statistics();
  EXPECT_EQ(statistics.operations, statistics.ended) << "each operation ends once";
  EXPECT_EQ(statistics.socketsOpen(), 0u);
  end();
}

}  // namespace gyre
