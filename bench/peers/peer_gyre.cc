// peer_gyre: gyre as a sink, source or broadcast server; its echo server is the program's.
#include <memory>
#include <string>
#include <vector>

#include "PeerOptions.h"
#include "gyre/gyre.h"

namespace {

void tellAll(const std::vector<gyre::TcpConnectionPtr>& members, gyre::Buffer& in) {
  const auto message = std::make_shared<const std::string>(in.retrieveAllAsString());
  for (const gyre::TcpConnectionPtr& member : members) member->send(message);
}

}  // namespace

int main(int argc, char** argv) {
  const peer::Options options = peer::parse(argc, argv);
  gyre::EventLoop loop;
  gyre::TcpServer server(&loop, gyre::InetAddress::loopback(options.port), "peer");
  server.setThreadNum(0);
  std::vector<gyre::TcpConnectionPtr> members;
  server.setMessageCallback(
      [&options, &members](const gyre::TcpConnectionPtr& connection, gyre::Buffer& in) {
        if (options.mode == peer::Mode::Echo) return connection->send(in);
        if (options.mode == peer::Mode::Broadcast) return tellAll(members, in);
        in.retrieveAll();
      });
  if (options.mode == peer::Mode::Broadcast) {
    server.setConnectionCallback([&members](const gyre::TcpConnectionPtr& connection) {
      if (connection->connected()) return members.push_back(connection);
      std::erase(members, connection);
    });
  }
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
