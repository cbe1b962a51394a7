// max_connections: an echo server for so many clients at a time.
#include "Example.h"

namespace {

void serve(example::Arguments& arguments) {
  const gyre::InetAddress address = arguments.address("127.0.0.1:7027");
  const int most = arguments.number(100, 1'000'000);
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "max_connections");

  // Counted over all loops. One more is closed at once; with OverloadPolicy::Wait, the default, it
  // would stay in the kernel's backlog until another has gone.
  gyre::ServerLimits limits;
  limits.connectionsMax = static_cast<std::size_t>(most);
  limits.atConnectionsMax = gyre::OverloadPolicy::Refuse;
  server.setLimits(limits);

  server.setMessageCallback(
      [](const gyre::TcpConnectionPtr& connection, gyre::Buffer& in) { connection->send(in); });
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) {
  return example::run(argc, argv, "max_connections [HOST:PORT] [COUNT]", serve);
}
