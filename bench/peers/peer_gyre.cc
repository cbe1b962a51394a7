// peer_gyre: gyre as a sink or source server; its echo server is the program's.
#include <memory>
#include <string>

#include "PeerOptions.h"
#include "gyre/gyre.h"

int main(int argc, char** argv) {
  const peer::Options options = peer::parse(argc, argv);
  gyre::EventLoop loop;
  gyre::TcpServer server(&loop, gyre::InetAddress::loopback(options.port), "peer");
  server.setThreadNum(0);
  server.setMessageCallback([&options](const gyre::TcpConnectionPtr& connection, gyre::Buffer& in) {
    if (options.mode == peer::Mode::Echo) return connection->send(in);
    in.retrieveAll();
  });
  if (options.mode == peer::Mode::Source) {
    const auto block = std::make_shared<const std::string>(peer::kBufferBytes, '\0');
    server.setConnectionCallback([block](const gyre::TcpConnectionPtr& connection) {
      if (connection->connected()) connection->send(block);
    });
    server.setWriteCompleteCallback(
        [block](const gyre::TcpConnectionPtr& connection) { connection->send(block); });
  }
  server.start();
  peer::announce(server.listenAddress().port());
  loop.loop();
  return 0;
}
