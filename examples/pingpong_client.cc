// pingpong_client: how many messages per second go to pingpong_server and back.
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "Example.h"

namespace {

struct Load {
  gyre::InetAddress server;
  std::size_t connections;
  std::size_t messageSize;
  std::chrono::seconds duration;
};

class PingPong {
 public:
  PingPong(gyre::EventLoop* loop, const Load& load) : loop_(loop), load_(load) {
    for (std::size_t i = 0; i < load_.connections; ++i) addClient();
  }

  // Runs the loop until the time is over.
  void run() {
    for (const auto& client : clients_) client->connect();
    loop_->loop();
    if (!complaint_.empty()) throw std::runtime_error(complaint_);
    if (connected_ < load_.connections) throw std::runtime_error("ended before all were connected");
    const double seconds = std::chrono::duration<double>(loop_->now() - startedAt_).count();
    const double messages = static_cast<double>(messages_);
    std::printf("%zu connections, %zu bytes: %.1f MiB/s, %.0f messages/s\n", load_.connections,
                load_.messageSize,
                messages * static_cast<double>(load_.messageSize) / seconds / (1 << 20),
                messages / seconds);
  }

 private:
  void addClient() {
    auto client = std::make_unique<gyre::TcpClient>(loop_, load_.server, "pingpong");
    client->setConnectionCallback([this](const auto& connection) {
      if (connection->connected()) return begin();
      fail("the server closed a connection");
    });
    client->setMessageCallback([this](const auto& connection, gyre::Buffer& in) {
      if (in.readableBytes() < load_.messageSize) return;  // what is left comes again, with more
      ++messages_;
      connection->send(in);
    });
    client->setConnectFailedCallback([this](const gyre::ConnectFailure& failure) {
      fail("cannot connect to " + failure.address.toString() + ": " + failure.error.message() +
           " (start pingpong_server there)");
    });
    clients_.push_back(std::move(client));
  }
  // The time counts from when all are connected.
  void begin() {
    if (++connected_ < load_.connections || !complaint_.empty()) return;
    startedAt_ = loop_->now();
    const std::string message(load_.messageSize, '.');
    for (const auto& client : clients_) client->connection()->send(message);
    loop_->runAfter(load_.duration, [this] { loop_->quit(); });
  }
  void fail(std::string complaint) {
    complaint_ = std::move(complaint);
    loop_->quit();
  }

  gyre::EventLoop* const loop_;
  const Load load_;
  std::vector<std::unique_ptr<gyre::TcpClient>> clients_;
  std::size_t connected_ = 0;
  std::uint64_t messages_ = 0;
  gyre::TimePoint startedAt_;
  std::string complaint_;
};

void measure(example::Arguments& arguments) {
  const Load load{arguments.address("127.0.0.1:7024"),
                  static_cast<std::size_t>(arguments.number(100, 10'000)),
                  static_cast<std::size_t>(arguments.number(4096, 1 << 24)),
                  std::chrono::seconds(arguments.number(5, 3600))};
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  PingPong(&loop, load).run();
}

}  // namespace

int main(int argc, char** argv) {
  return example::run(argc, argv, "pingpong_client [HOST:PORT] [CONNECTIONS] [BYTES] [SECONDS]",
                      measure);
}
