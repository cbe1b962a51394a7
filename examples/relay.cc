// relay: passes connections on to another server, with bounded memory whoever is slow.
#include "Example.h"
#include "Tunnel.h"

namespace {

void serve(example::Arguments& arguments) {
  const gyre::InetAddress target = arguments.address("");
  const gyre::InetAddress address = arguments.address("127.0.0.1:7025");
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "relay");

  gyre::ConnectionOptions options;
  options.readOnEstablish = false;  // nothing is read before there is somebody to send it to
  server.setConnectionOptions(options);
  example::setTunnelCallbacks(server);
  server.setConnectionCallback([target](const gyre::TcpConnectionPtr& front) {
    if (!front->connected()) return;
    const auto client = std::make_shared<gyre::TcpClient>(front->loop(), target, "relay");
    example::openTunnel(front, client, [](bool) {});
  });
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) {
  return example::run(argc, argv, "relay TARGET [HOST:PORT]", serve);
}
