// chat: rooms of people; a frame is a message, or "/join ROOM".
//
// Frames have a length of four bytes in front. The rooms belong to the base loop, where every
// message goes first: one thread gives them an order, which is the same for all in a room.
#include <map>
#include <memory>
#include <set>

#include "Example.h"

namespace {

constexpr std::size_t kMessageMax = 4096;
constexpr std::string_view kJoin = "/join ";

class Chat {
 public:
  void handle(const gyre::TcpConnectionPtr& person, std::string_view text) {
    const auto place = roomOf_.find(person);
    if (text.starts_with(kJoin)) {
      leave(person);
      const std::string room(text.substr(kJoin.size()));
      rooms_[room].insert(person);
      roomOf_[person] = room;
      say(room, nameOf(person) + " has joined " + room);
    } else if (place == roomOf_.end()) {
      person->send(frameOf("say /join ROOM first"));
    } else {
      say(place->second, nameOf(person) + ": " + std::string(text));
    }
  }

  void leave(const gyre::TcpConnectionPtr& person) {
    const auto place = roomOf_.find(person);
    if (place == roomOf_.end()) return;
    const std::string room = place->second;
    roomOf_.erase(place);
    rooms_[room].erase(person);
    if (rooms_[room].empty()) rooms_.erase(room);
    say(room, nameOf(person) + " has left");
  }

 private:
  static std::string nameOf(const gyre::TcpConnectionPtr& person) {
    return "guest-" + std::to_string(person->id());
  }
  // One buffer, however many get it.
  static std::shared_ptr<const std::string> frameOf(std::string_view text) {
    gyre::Buffer frame;
    const auto status = gyre::LengthFieldCodec().encode(text, frame);
    GYRE_CHECK(status == gyre::FrameStatus::Complete, "a message and a name make a frame");
    return std::make_shared<const std::string>(frame.retrieveAllAsString());
  }
  void say(const std::string& room, std::string_view text) {
    const auto people = rooms_.find(room);
    if (people == rooms_.end()) return;
    const auto frame = frameOf(text);
    for (const auto& person : people->second) person->send(frame);
  }

  std::map<std::string, std::set<gyre::TcpConnectionPtr>> rooms_;
  std::map<gyre::TcpConnectionPtr, std::string> roomOf_;
};

void serve(example::Arguments& arguments) {
  const gyre::InetAddress address = arguments.address("127.0.0.1:7022");
  Chat chat;  // outlives the loop, which at its end still runs what was queued
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "chat");

  const auto onFrame = [&](const gyre::TcpConnectionPtr& person, std::string_view frame) {
    // The frame is lent until we return: copied, it may travel.
    loop.queueInLoop([&chat, person, text = std::string(frame)] { chat.handle(person, text); });
  };
  server.setMessageCallback(
      gyre::framed(gyre::LengthFieldCodec({.maximum = kMessageMax}), onFrame));
  server.setCloseCallback([&](const gyre::TcpConnectionPtr& person) {
    loop.queueInLoop([&chat, person] { chat.leave(person); });
  });
  // Who does not read what others say is dropped: nobody waits for him.
  gyre::ConnectionOptions options;
  options.outputLimit = 1024 * 1024;
  options.outputPolicy = gyre::OutputPolicy::Close;
  server.setConnectionOptions(options);
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "chat [HOST:PORT]", serve); }
