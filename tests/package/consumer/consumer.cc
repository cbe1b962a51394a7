// What a user writes first: an echo server in a loop, and a plain socket that talks to it.
#include <arpa/inet.h>
#include <gyre/loop/EventLoop.h>
#include <gyre/server/TcpServer.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>

namespace {

// The server's answer to `message`, or an empty string if the conversation failed.
std::string askServer(std::uint16_t port, const std::string& message) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, message.data(), message.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(message.size())) {
    answer.resize(message.size());
    const ssize_t received = ::recv(fd, answer.data(), answer.size(), MSG_WAITALL);
    answer.resize(received > 0 ? static_cast<std::size_t>(received) : 0);
  }
  ::close(fd);
  return answer;
}

}  // namespace

int main() {
  const std::string message = "a message through an installed gyre";
  gyre::EventLoop loop;
  gyre::TcpServer server(&loop, gyre::InetAddress("127.0.0.1:0"), "echo");
  server.setThreadNum(0);
  server.setMessageCallback(
      [](const gyre::TcpConnectionPtr& conn, gyre::Buffer& in) { conn->send(in); });
  server.start();

  std::string answer;
  std::thread peer([&loop, &answer, &message, port = server.listenAddress().port()] {
    answer = askServer(port, message);
    loop.quit();
  });
  loop.loop();
  peer.join();

  if (answer != message) {
    std::fprintf(stderr, "sent '%s', received '%s'\n", message.c_str(), answer.c_str());
    return 1;
  }
  std::puts("ok");
  return 0;
}
