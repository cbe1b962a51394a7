// chargen: sends characters for as long as the client takes them (RFC 864).
#include <memory>

#include "Example.h"

namespace {

// Lines of 72 of the 95 printable characters, each line one further: then it begins anew.
std::string makePattern() {
  constexpr int kPrintable = 95;
  constexpr int kWidth = 72;
  std::string pattern;
  for (int line = 0; line < kPrintable; ++line) {
    for (int column = 0; column < kWidth; ++column) {
      pattern += static_cast<char>(' ' + (line + column) % kPrintable);
    }
    pattern += "\r\n";
  }
  return pattern;
}

void serve(example::Arguments& arguments) {
  const gyre::InetAddress address = arguments.address("127.0.0.1:7019");
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "chargen");

  // One pattern in memory for all clients. The next goes out when the kernel has taken the last,
  // so a slow client costs no more than a fast one.
  const auto pattern = std::make_shared<const std::string>(makePattern());
  const auto sendPattern = [pattern](const gyre::TcpConnectionPtr& connection) {
    if (connection->connected()) connection->send(pattern);
  };
  server.setConnectionCallback(sendPattern);
  server.setWriteCompleteCallback(sendPattern);
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "chargen [HOST:PORT]", serve); }
