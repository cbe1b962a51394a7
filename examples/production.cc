// production: a server as a service runs it: limits, timeouts, draining, hot restarts, systemd.
#include <gyre/gyre.h>
#include <gyre/service/ServiceRunner.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string_view>

using namespace std::chrono_literals;

int main(int argc, char** argv) try {
  gyre::EventLoop loop;
  gyre::ServiceRunner service(&loop, {.drainTime = 30s});  // before any thread is started
  gyre::TcpServer server(&loop, gyre::InetAddress(argc > 1 ? argv[1] : "[::]:7007"), "im");

  gyre::ConnectionOptions options;
  options.timeouts = {.idle = 5min, .firstByte = 10s, .writeStall = 30s, .close = 10s};
  server.setConnectionOptions(options);
  server.setLimits({.connectionsMax = 50'000, .memoryBudget = 512 << 20});

  const gyre::LengthFieldCodec codec;
  const auto onFrame = [codec](const gyre::TcpConnectionPtr& connection, std::string_view frame) {
    gyre::Buffer answer;
    if (codec.encode(frame, answer) == gyre::FrameStatus::Complete) connection->send(answer);
  };
  server.setMessageCallback(gyre::framed(codec, onFrame));

  service.add(&server);
  service.run();  // starts the server; returns when it has drained
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
