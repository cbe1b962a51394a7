// Clients of a unix socket whose backlog is full: they wait for room, within their timeout.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/ClientFixture.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

class UnixBacklogTest : public ClientFixture {
 protected:
  InetAddress full() { return world().fullUnixAddress(); }
  // Worker threads that the kernel has started for a ring of this process.
  static std::size_t kernelWorkers() {
    std::size_t count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::string name;
      std::getline(std::ifstream(task.path() / "comm"), name);
      count += name.starts_with("iou-wrk") ? 1 : 0;
    }
    return count;
  }
  void aimAtFull(TimeSpan timeout) {
    ConnectOptions options = quick();
    options.timeout = timeout;
    options.backoff.attempts = 1;
    aim(full()).setConnectOptions(options);
  }
};

TEST_F(UnixBacklogTest, Connect_waitsUntilTheTimeout) {
  aimAtFull(milliseconds(100));
  const TimePoint begin = loop().now();
  client().connect();
  ASSERT_TRUE(runUntilTold("failed"));
  EXPECT_GE(loop().now() - begin, milliseconds(100));
  EXPECT_EQ(failures()[0].error, std::errc::timed_out);
  EXPECT_NE(failures()[0].reason.find("backlog"), std::string_view::npos) << failures()[0].reason;
  settle();
  EXPECT_EQ(loop().residentCount(), 0U);
}

TEST_F(UnixBacklogTest, Connect_succeedsWhenThereIsRoom) {
  aimAtFull(std::chrono::hours(1));
  client().connect();
  settle();
  EXPECT_TRUE(told().empty());
  EXPECT_EQ(client().state(), ClientState::Connecting);
  world().takeFromFullUnix();
  EXPECT_TRUE(runUntilTold("up"));
}

// Two of them blocked both workers of the ring, and then everybody who needed one.
TEST_F(UnixBacklogTest, Connect_ofMany_blocksNoWorkerOfTheKernel) {
  const InetAddress address = full();
  ConnectOptions options = quick();
  options.timeout = std::chrono::hours(1);
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<TcpClient>(&loop(), address, "one of many"));
    clients.back()->setConnectOptions(options);
    clients.back()->connect();
  }
  for (int i = 0; i < 20; ++i) runOnce();
  EXPECT_EQ(kernelWorkers(), 0U);
  world().takeFromFullUnix();
  ASSERT_TRUE(runUntil([&] {
    return std::any_of(clients.begin(), clients.end(),
                       [](const auto& one) { return one->connection() != nullptr; });
  }));
  clients.clear();
  settle();
  EXPECT_EQ(loop().residentCount(), 0U);
}

TEST_F(UnixBacklogTest, StopOrEnd_whileWaiting_isDoneAtOnce) {
  for (const bool ends : {true, false}) {
    aimAtFull(std::chrono::hours(1));
    client().connect();
    for (int i = 0; i < 5; ++i) runOnce();
    ends ? endClient() : client().stop();
    settle();
    EXPECT_EQ(loop().residentCount(), 0U);
    EXPECT_TRUE(told().empty());
  }
}

TEST_F(UnixBacklogTest, LoopThatEnds_whileWaiting_waitsForNobody) {
  aimAtFull(std::chrono::hours(1));
  client().connect();
  for (int i = 0; i < 5; ++i) runOnce();
  endClient();
  endLoop();
}

}  // namespace
}  // namespace gyre
