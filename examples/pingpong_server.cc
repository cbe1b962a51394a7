// pingpong_server: returns each message to pingpong_client; threads are its argument.
#include "Example.h"

namespace {

void serve(example::Arguments& arguments) {
  const gyre::InetAddress address = arguments.address("127.0.0.1:7024");
  const int threads = arguments.number(1, gyre::EventLoopThreadPool::kThreadsMax);
  // Rings share the memory that this process may lock: told how many come, each is given its part.
  gyre::ProactorOptions engine = gyre::defaultProactorOptions();
  engine.ringsPlanned = static_cast<std::uint32_t>(threads) + 1;
  gyre::EventLoop loop(engine);
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "pingpong");
  server.setThreadNum(threads);
  server.setMessageCallback(
      [](const gyre::TcpConnectionPtr& connection, gyre::Buffer& in) { connection->send(in); });
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) {
  return example::run(argc, argv, "pingpong_server [HOST:PORT] [THREADS]", serve);
}
