// The engine and everything above it under seeded faults of the ring.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "MixedLoad.h"
#include "gyre/gyre.h"
#include "gyre/proactor/EngineReport.h"
#include "proactor/uring/RingFaults.h"

namespace gyre {
namespace {

struct Closings {
  std::atomic<std::uint64_t> opened{0};
  std::atomic<std::uint64_t> closed{0};
  std::atomic<std::uint64_t> afterClose{0};
};

// An echo server on its own threads, whose rings are faulty; every callback after the close
// callback of its connection is counted.
class FaultyServer {
 public:
  FaultyServer(const RingFaultOptions& faults, const ProactorOptions& options) {
    chooseEngine();  // what looks at the kernel is no part of the test
    setRingFaults(faults);
    std::promise<InetAddress> bound;
    std::future<InetAddress> address = bound.get_future();
    thread_ = std::thread([this, &bound, options] { serve(bound, options); });
    address_ = address.get();
  }
  ~FaultyServer() {
    loop_->quit();
    thread_.join();
    resetRingFaults();
  }

  const InetAddress& address() const { return address_; }
  const Closings& closings() const { return closings_; }
  std::size_t connectionCount() const { return server_->connectionCount(); }

 private:
  void serve(std::promise<InetAddress>& bound, const ProactorOptions& options) {
    EventLoop loop(options);
    TcpServer server(&loop, InetAddress("127.0.0.1:0"), "faulty");
    server.setThreadNum(1);
    ConnectionOptions limits;
    limits.outputLimit = 128 * 1024;
    server.setConnectionOptions(limits);
    server.setConnectionCallback([this](const TcpConnectionPtr& connection) {
      if (connection->connected()) closings_.opened.fetch_add(1);
      check(connection);
    });
    server.setMessageCallback([this](const TcpConnectionPtr& connection, Buffer& in) {
      check(connection);
      connection->send(in);
    });
    server.setWriteCompleteCallback(
        [this](const TcpConnectionPtr& connection) { check(connection); });
    server.setCloseCallback([this](const TcpConnectionPtr& connection) {
      check(connection);
      closings_.closed.fetch_add(1);
      const std::lock_guard lock(mutex_);
      closedIds_.insert(connection->id());
    });
    server.start();
    loop_ = &loop;
    server_ = &server;
    bound.set_value(server.listenAddress());
    loop.loop();
  }

  void check(const TcpConnectionPtr& connection) {
    const std::lock_guard lock(mutex_);
    if (closedIds_.contains(connection->id())) closings_.afterClose.fetch_add(1);
  }

  Closings closings_;
  std::mutex mutex_;
  std::set<std::uint64_t> closedIds_;
  InetAddress address_;
  EventLoop* loop_ = nullptr;
  TcpServer* server_ = nullptr;
  std::thread thread_;
};

void waitUntilEmpty(const FaultyServer& server) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (server.connectionCount() != 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

ProactorOptions uringOptions() {
  ProactorOptions options;
  options.engine = Engine::Uring;
  return options;
}

class RingFaultsTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RingFaultsTest, PassingFaults_everyByteComesBackThenTheEnd) {
  RingFaultOptions faults;
  faults.seed = GetParam();
  ProactorOptions options = uringOptions();
  if (GetParam() % 2 == 0) {
    options.submissionEntries = 8;
    options.completionEntries = 64;
    options.receiveBuffers = 4;
    options.receiveBuffersMax = 4;
  }
  FaultyServer server(faults, options);
  MixedLoadOptions load;
  load.seed = GetParam();
  const MixedLoadResult result = MixedLoad(server.address(), load).run();
  waitUntilEmpty(server);

  EXPECT_EQ(result.wrong, 0u);
  EXPECT_EQ(result.cutShort, 0u);
  EXPECT_EQ(result.unfinished, 0u);
  EXPECT_EQ(result.complete + result.deserted, load.clients);
  EXPECT_EQ(server.closings().opened, load.clients);
  EXPECT_EQ(server.closings().closed, load.clients);
  EXPECT_EQ(server.closings().afterClose, 0u);
}

TEST_P(RingFaultsTest, FatalFaults_eachConnectionEndsOnceAndWhatCameIsRight) {
  RingFaultOptions faults;
  faults.seed = GetParam() + 1000;
  faults.fatalErrors = 10;
  FaultyServer server(faults, uringOptions());
  MixedLoadOptions load;
  load.seed = GetParam();
  const MixedLoadResult result = MixedLoad(server.address(), load).run();
  waitUntilEmpty(server);

  EXPECT_EQ(result.wrong, 0u);
  EXPECT_EQ(result.unfinished, 0u);
  EXPECT_EQ(result.complete + result.cutShort + result.deserted, load.clients);
  EXPECT_EQ(server.closings().opened, server.closings().closed);
  EXPECT_EQ(server.closings().afterClose, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RingFaultsTest, testing::Range<std::uint64_t>(1, 13));

// Nearly every accept fails at first, for a reason of the client that was to be accepted.
TEST(RingFaults, AcceptErrors_thatAreTheClients_leaveTheListener) {
  RingFaultOptions faults;
  faults.passingErrors = 900;
  FaultyServer server(faults, uringOptions());
  MixedLoadOptions load;
  load.clients = 4;
  const MixedLoadResult result = MixedLoad(server.address(), load).run();
  waitUntilEmpty(server);
  EXPECT_EQ(result.complete + result.deserted, load.clients);
  EXPECT_EQ(server.closings().opened, load.clients);
}

TEST(RingFaults, MixedLoad_everyKindOfFaultHappens) {
  RingFaultOptions faults;
  faults.seed = 99;
  FaultyServer server(faults, uringOptions());
  MixedLoad(server.address(), {}).run();
  waitUntilEmpty(server);

  for (std::size_t kind = 0; kind < kRingFaults; ++kind) {
    EXPECT_GT(ringFaultCount(static_cast<RingFault>(kind)), 0u) << "kind " << kind;
  }
}

}  // namespace
}  // namespace gyre
