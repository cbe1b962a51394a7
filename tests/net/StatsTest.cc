// The numbers of a server, and callbacks that hold their loop up.
#include <thread>

#include "base/LogFormat.h"
#include "gyre/base/Log.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

class StatsTest : public ServerFixture {};

TEST_F(StatsTest, Numbers_areWhatHappened) {
  start({.threads = 2});
  std::vector<Peer> peers = connectMany(20);
  EXPECT_EQ(countEchoed(peers, std::string(1000, 'x'), pump()), 20U);
  const ServerStats stats = server()->stats();
  EXPECT_EQ(stats.connections, 20U);
  EXPECT_EQ(stats.accepted, 20U);
  ASSERT_EQ(stats.loops.size(), 2U);
  std::uint64_t received = 0;
  for (const LoopStats& loop : stats.loops) {
    EXPECT_EQ(loop.connections, 10U);
    EXPECT_GT(loop.iterations, 0U);
    EXPECT_GT(loop.completionsPerIteration(), 0.0);
    EXPECT_GT(loop.lagMax.count(), 0);
    EXPECT_GE(loop.busy, loop.lagMax);
    received += loop.bytesReceived;
  }
  EXPECT_EQ(received, 20'000U);
}

TEST_F(StatsTest, ReadFromAnotherThread_whileTheLoopsRun) {
  start({.threads = 2});
  std::vector<Peer> peers = connectMany(10);
  std::atomic<bool> isOver{false};
  std::uint64_t last = 0;
  std::thread reader([&] {
    while (!isOver) {
      const ServerStats stats = server()->stats();
      std::uint64_t iterations = 0;
      for (const LoopStats& loop : stats.loops) iterations += loop.iterations;
      EXPECT_GE(iterations, last);
      last = iterations;
    }
  });
  for (int i = 0; i < 50; ++i) EXPECT_EQ(countEchoed(peers, "hello", pump()), 10U);
  isOver = true;
  reader.join();
  EXPECT_GT(last, 0U);
}

TEST_F(StatsTest, SlowCallback_isReportedWithItsConnection) {
  std::string logged;
  forgetLeftOutLines();
  std::mutex mutex;
  setLogSink([&](LogLevel, std::string_view text) {
    const std::lock_guard lock(mutex);
    logged += std::string(text) + "\n";
  });
  loop().setSlowCallbackLimit(milliseconds(50));
  std::uint64_t id = 0;
  start({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
    id = connection->id();
    std::this_thread::sleep_for(milliseconds(80));
    connection->send(in);
  }});
  const auto isLogged = [&] {
    const std::lock_guard lock(mutex);
    return logged.find("connection " + std::to_string(id)) != std::string::npos;
  };
  const Peer other = connect();
  settle();  // the engine measures from its first wait on
  // Another callback may have been slow before it, where others had the CPU, and then that one is
  // the line of its second.
  const auto limit = std::chrono::steady_clock::now() + kPatience;
  do {
    EXPECT_TRUE(echoes());
    settle();
    flushLog();
  } while (!isLogged() && std::chrono::steady_clock::now() < limit);
  const ServerStats stats = server()->stats();
  EXPECT_GE(stats.loops[0].slowCallbacks, 1U);
  EXPECT_GE(stats.loops[0].longestCallback, milliseconds(70));
  EXPECT_GE(stats.loops[0].lagMax, milliseconds(70));
  setLogSink({});
  EXPECT_TRUE(isLogged()) << logged;
}

}  // namespace
}  // namespace gyre
