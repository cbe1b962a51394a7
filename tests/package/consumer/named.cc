// Names and service of an installed gyre: a program that uses both links, and runs.
#include <gyre/gyre.h>
#include <gyre/names/Resolver.h>
#include <gyre/service/ServiceRunner.h>

#include <cstdio>

int main() {
  gyre::EventLoop loop;
  gyre::ServiceRunner service(&loop);
  gyre::Resolver resolver(&loop);
  gyre::TcpServer server(&loop, gyre::InetAddress("127.0.0.1:0"), "named");
  server.setThreadNum(0);
  service.add(&server);
  server.start();
  gyre::TcpClient client(&loop, &resolver, {"localhost", server.listenAddress().port()}, "client");
  gyre::ConnectOptions options;
  client.setConnectOptions(options);
  client.setConnectionCallback([&](const gyre::TcpConnectionPtr& connection) {
    if (connection->connected()) loop.quit();
  });
  client.connect();
  loop.loop();
  std::puts("ok");
}
