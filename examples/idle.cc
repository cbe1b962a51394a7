// idle: an echo server that closes who has been silent for too long.
#include <chrono>

#include "Example.h"

namespace {

constexpr int kDay = 24 * 3600 * 1000;

void serve(example::Arguments& arguments) {
  const gyre::InetAddress address = arguments.address("127.0.0.1:7026");
  const std::chrono::milliseconds idle(arguments.number(10'000, kDay));
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "idle");

  // A timeout costs nothing per message, so that every server can afford them.
  gyre::ConnectionOptions options;
  options.timeouts.idle = idle;
  options.timeouts.writeStall = idle;  // a client that does not read is not silent, but stuck
  options.outputLimit = 256 * 1024;
  server.setConnectionOptions(options);

  server.setMessageCallback(
      [](const gyre::TcpConnectionPtr& connection, gyre::Buffer& in) { connection->send(in); });
  server.setCloseCallback([](const gyre::TcpConnectionPtr& connection) {
    const std::string client = connection->peerAddress().toString();
    switch (connection->closeReason()) {
      case gyre::CloseReason::IdleTimeout: return example::say(client + " was silent");
      case gyre::CloseReason::WriteStall: return example::say(client + " did not read");
      default: return;
    }
  });
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) {
  return example::run(argc, argv, "idle [HOST:PORT] [MILLISECONDS]", serve);
}
