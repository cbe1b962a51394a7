// echo: sends back whatever it receives (RFC 862).
#include "Example.h"

namespace {

void serve(example::Arguments& arguments) {
  const gyre::InetAddress address = arguments.address("127.0.0.1:7007");
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "echo");

  // A client that sends and never reads is not read either, once so much waits for it.
  gyre::ConnectionOptions options;
  options.outputLimit = 256 * 1024;
  server.setConnectionOptions(options);

  server.setMessageCallback(
      [](const gyre::TcpConnectionPtr& connection, gyre::Buffer& in) { connection->send(in); });
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "echo [HOST:PORT]", serve); }
