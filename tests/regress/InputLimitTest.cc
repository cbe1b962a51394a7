// Reading paused at inputLimit and stayed so for ever, when what had been taken by then came after
// the pause and was retrieved with all the rest: nothing was left to say startRead() for.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "gyre/loop/EventLoop.h"
#include "gyre/server/TcpServer.h"
#include "gyre/sim/SimClient.h"
#include "gyre/sim/SimNetwork.h"

namespace gyre {
namespace {

using namespace std::chrono_literals;

TEST(InputLimitTest, MessageAfterThePause_retrievesAll_readingGoesOn) {
  // Four chunks are taken at once, and delivered in one iteration of the loop.
  SimNetwork network({.receiveBuffers = 4, .receiveBufferSize = 1024});
  EventLoop loop(network.makeProactor("main"));
  network.addLoop(loop.proactor(), [&loop] { loop.runOnce(kForever); });
  TcpServer server(&loop, InetAddress::loopback(0), "regress");
  server.setThreadNum(0);
  server.setConnectionOptions({.inputLimit = 100});
  bool isFirst = true;
  server.setMessageCallback([&isFirst](const TcpConnectionPtr& connection, Buffer& in) {
    if (!std::exchange(isFirst, false)) connection->send(in);
  });
  server.start();

  const std::string text(4096, 'x');
  SimClient client(network, "client");
  client.connect(server.listenAddress()).send(text).awaitBytes(text.size());
  client.wait(1s).send("more").awaitBytes(text.size() + 4).close();
  EXPECT_TRUE(network.runUntil([&client] { return client.isFinished(); }, 10s));
  EXPECT_EQ(client.received(), text + "more");
}

}  // namespace
}  // namespace gyre
