// LogFloodTest: what peers do to a server's log: a line per second and kind, with the server's
// name and the number left out.
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/LogFormat.h"
#include "gyre/codec/FrameReader.h"
#include "gyre/codec/LineCodec.h"
#include "support/ClientFixture.h"

namespace gyre {
namespace {

class LogFloodTest : public ClientFixture {
 protected:
  void SetUp() override {
    ClientFixture::SetUp();
    forgetLeftOutLines();
    setLogSink([this](LogLevel, std::string_view text) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(text);
    });
  }
  void TearDown() override {
    setLogSink(nullptr);
    forgetLeftOutLines();
    ClientFixture::TearDown();
  }
  // Those with these words, up to now.
  std::vector<std::string> linesWith(std::string_view words) {
    flushLog();
    const std::lock_guard lock(mutex_);
    std::vector<std::string> found;
    for (const std::string& line : lines_) {
      if (line.find(words) != std::string::npos) found.push_back(line);
    }
    return found;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

TEST_F(LogFloodTest, BadFrames_areALineASecond_withTheServersNameAndThenTheirNumber) {
  constexpr std::size_t kPeers = 40;
  const auto ignore = [](const TcpConnectionPtr&, std::string_view) {};
  start({.onMessage = framed(LineCodec({.maximum = 10}), ignore)});
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Peer> peers = connectMany(kPeers);
  for (Peer& peer : peers) ASSERT_TRUE(peer.send(std::string(100, 'x')));
  ASSERT_TRUE(runUntilClosed(kPeers));
  const auto took = std::chrono::steady_clock::now() - begin;
  const auto lines = linesWith("too long");
  ASSERT_GE(lines.size(), 1U);
  EXPECT_LE(lines.size(), 1U + static_cast<std::size_t>(took / std::chrono::seconds(1)));
  EXPECT_NE(lines[0].find(" of " + server()->name() + " "), std::string::npos) << lines[0];
  // Nothing happens any more, and still the loop comes to say how many there were.
  EXPECT_TRUE(runUntil([&] { return !linesWith("more like \"").empty(); }));
}

TEST_F(LogFloodTest, InputLimit_saysWhatToDo_withTheServersName) {
  start({.options = {.inputLimit = 10}, .onMessage = [](const TcpConnectionPtr&, Buffer&) {}});
  Peer peer = connect();
  ASSERT_TRUE(peer.send(std::string(100, 'x')));
  ASSERT_TRUE(runUntil([&] { return !linesWith("reading pauses").empty(); }));
  const std::string line = linesWith("reading pauses")[0];
  EXPECT_NE(line.find(" of " + server()->name() + ": "), std::string::npos) << line;
  EXPECT_NE(line.find("100 bytes of input are not retrieved (inputLimit is 10)"), std::string::npos)
      << line;
  EXPECT_NE(line.find("retrieve them as they come, or set ConnectionOptions::inputLimit above the "
                      "largest message that is waited for"),
            std::string::npos)
      << line;
}

TEST_F(LogFloodTest, RefusedConnections_areALineWithTheServersName) {
  start({.configure = [](TcpServer& server) {
    server.setAcceptFilter(
        [](const InetAddress&) -> bool { throw std::runtime_error("a bad day"); });
  }});
  Peer peer = connect();
  ASSERT_TRUE(runUntil([&] { return !linesWith("a bad day").empty(); }));
  EXPECT_EQ(linesWith("a bad day")[0].find("server " + server()->name() + ": "), 0U)
      << linesWith("a bad day")[0];
}

TEST_F(LogFloodTest, ALoopThatSleeps_wakesToSayHowManyWereLeftOut) {
  start();
  runOnce();  // the loop measures its callbacks from its first wait on
  for (int i = 0; i < 3; ++i) logWarn("said on the loop's thread: {}", i);
  loop().queueInLoop([] {
    for (int i = 0; i < 3; ++i) logWarn("said by a functor: {}", i);
  });
  const auto limit = std::chrono::steady_clock::now() + kPatience;
  while (linesWith("more like \"").empty() && std::chrono::steady_clock::now() < limit) {
    loop().runOnce(limit);
  }
  EXPECT_EQ(linesWith("left out: 2 more like \"said by a functor: {}\"").size(), 1U);
}

TEST_F(LogFloodTest, FailedConnect_whereACallbackReceivesIt_isNotLogged) {
  ConnectOptions options = quick();
  options.backoff.attempts = 3;
  aim(refusing()).setConnectOptions(options);
  client().connect();
  ASSERT_TRUE(runUntilTold("failed", 3));
  EXPECT_TRUE(linesWith("cannot connect").empty());
}

TEST_F(LogFloodTest, FailedConnect_whereNobodyReceivesIt_isLoggedWithTheClientsName) {
  ConnectOptions options = quick();
  options.backoff.attempts = 3;
  TcpClient client(&loop(), refusing(), "caller");
  client.setConnectOptions(options);
  client.connect();
  ASSERT_TRUE(runUntil([&] { return client.state() == ClientState::Idle; }));
  ASSERT_GE(linesWith("cannot connect").size(), 1U);
  EXPECT_NE(linesWith("cannot connect")[0].find("client caller"), std::string::npos);
}

}  // namespace
}  // namespace gyre
