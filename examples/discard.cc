// discard: reads and forgets (RFC 863), and says afterwards how much it was.
#include "Example.h"

namespace {

void serve(example::Arguments& arguments) {
  const gyre::InetAddress address = arguments.address("127.0.0.1:7009");
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "discard");

  // Without a message callback what arrives is discarded, in memory that is used again and again.
  server.setCloseCallback([](const gyre::TcpConnectionPtr& connection) {
    example::say(connection->peerAddress().toString() + " sent " +
                 std::to_string(connection->bytesReceived()) + " bytes");
  });
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "discard [HOST:PORT]", serve); }
