// daytime: sends the time of day and closes (RFC 867).
#include <array>
#include <ctime>

#include "Example.h"

namespace {

std::string timeOfDay() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 64> text{};
  const std::size_t size =
      std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC\r\n", &parts);
  return std::string(text.data(), size);
}

void serve(example::Arguments& arguments) {
  const gyre::InetAddress address = arguments.address("127.0.0.1:7013");
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "daytime");

  server.setConnectionCallback([](const gyre::TcpConnectionPtr& connection) {
    if (!connection->connected()) return;  // it is called for the end too
    connection->send(timeOfDay());
    connection->shutdown();  // once all is sent; what the client says is discarded
  });
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "daytime [HOST:PORT]", serve); }
