// hub: lines are published to all who have subscribed to their topic.
//
//   sub TOPIC      answered with "subscribed TOPIC"
//   unsub TOPIC    answered with "unsubscribed TOPIC"
//   pub TOPIC TEXT becomes the line "TOPIC TEXT" at every subscriber
//
// The lists of subscribers are used by all loops, under one mutex: publishing only reads them, so
// all loops publish at once, and the lines of one publisher arrive in order. (chat has one loop do
// it instead: slower, but then all see the lines of all publishers in the same order.)
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>

#include "Example.h"

namespace {

class Hub {
 public:
  void handle(const gyre::TcpConnectionPtr& client, std::string_view line) {
    const auto [command, rest] = split(line);
    const auto [topic, text] = split(rest);
    if (command == "pub" && !topic.empty()) return publish(topic, std::string(rest) + "\n");
    if (command == "sub" && !topic.empty()) return subscribe(client, std::string(topic));
    if (command == "unsub" && !topic.empty()) return unsubscribe(client, std::string(topic));
    client->send("error: say sub TOPIC, unsub TOPIC or pub TOPIC TEXT\n");
  }

  void leave(const gyre::TcpConnectionPtr& client) {
    const std::unique_lock lock(mutex_);
    for (auto& [topic, subscribers] : topics_) subscribers.erase(client);
    std::erase_if(topics_, [](const auto& topic) { return topic.second.empty(); });
  }

 private:
  static std::pair<std::string_view, std::string_view> split(std::string_view line) {
    const std::size_t space = line.find(' ');
    if (space == line.npos) return {line, {}};
    return {line.substr(0, space), line.substr(space + 1)};
  }
  // One buffer for all of them. No callback runs inside send(), so it may be called under a lock.
  void publish(std::string_view topic, std::string line) {
    const auto shared = std::make_shared<const std::string>(std::move(line));
    const std::shared_lock lock(mutex_);
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return;
    for (const auto& subscriber : found->second) subscriber->send(shared);
  }
  void subscribe(const gyre::TcpConnectionPtr& client, const std::string& topic) {
    const std::unique_lock lock(mutex_);
    topics_[topic].insert(client);
    client->send("subscribed " + topic + "\n");
  }
  void unsubscribe(const gyre::TcpConnectionPtr& client, const std::string& topic) {
    const std::unique_lock lock(mutex_);
    if (const auto found = topics_.find(topic); found != topics_.end()) {
      found->second.erase(client);
      if (found->second.empty()) topics_.erase(found);
    }
    client->send("unsubscribed " + topic + "\n");
  }

  std::shared_mutex mutex_;
  std::map<std::string, std::set<gyre::TcpConnectionPtr>, std::less<>> topics_;
};

void serve(example::Arguments& arguments) {
  const gyre::InetAddress address = arguments.address("127.0.0.1:7023");
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  Hub hub;
  gyre::TcpServer server(&loop, address, "hub");
  server.setMessageCallback(
      gyre::framed(gyre::LineCodec(), [&hub](const gyre::TcpConnectionPtr& client,
                                             std::string_view line) { hub.handle(client, line); }));
  server.setCloseCallback([&hub](const gyre::TcpConnectionPtr& client) { hub.leave(client); });
  gyre::ConnectionOptions options;
  options.outputLimit = 16 * 1024 * 1024;
  options.outputPolicy = gyre::OutputPolicy::Close;  // who does not read is dropped
  server.setConnectionOptions(options);
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "hub [HOST:PORT]", serve); }
