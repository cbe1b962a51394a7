// What a user writes to test his protocol: the server on a simulated network, with faults.
#include <gyre/loop/EventLoop.h>
#include <gyre/server/TcpServer.h>
#include <gyre/sim/SimClient.h>
#include <gyre/sim/SimNetwork.h>

#include <chrono>
#include <cstdio>
#include <string>

int main() {
  const std::string message = "a message through a simulated network";
  gyre::SimFaults faults;
  faults[gyre::SimFault::SegmentSplit] = faults[gyre::SimFault::ReceiveSplit] = 0.5;
  gyre::SimNetwork network({.seed = 7, .faults = faults});
  gyre::EventLoop loop(network.makeProactor("main"));
  network.addLoop(loop.proactor(), [&loop] { loop.runOnce(gyre::kForever); });

  gyre::TcpServer server(&loop, gyre::InetAddress("127.0.0.1:0"), "echo");
  server.setThreadNum(0);
  server.setMessageCallback(
      [](const gyre::TcpConnectionPtr& conn, gyre::Buffer& in) { conn->send(in); });
  server.start();

  gyre::SimClient client(network, "client");
  client.connect(server.listenAddress()).send(message).awaitBytes(message.size()).close();
  const bool isDone =
      network.runUntil([&client] { return client.isFinished(); }, std::chrono::seconds(10));
  if (!isDone || client.received() != message) {
    std::fprintf(stderr, "sent '%s', received '%s'\n", message.c_str(), client.received().c_str());
    return 1;
  }
  std::puts("ok");
  return 0;
}
