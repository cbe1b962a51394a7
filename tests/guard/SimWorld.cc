// The loop runs on the simulated engine: the same instructions, to the last one, on any machine.
//
// Loop, network and peers run intertwined, so all of it is counted; by the name of its source the
// judge tells what is the simulator's.
#include <deque>
#include <stdexcept>
#include <string>

#include "Counting.h"
#include "World.h"
#include "gyre/sim/SimClient.h"
#include "gyre/sim/SimNetwork.h"

namespace gyre::guard {
namespace {

using namespace std::chrono_literals;

SimOptions plainNetwork() {
  SimOptions options;
  // Nothing is drawn by lot that decides how much comes at once.
  options.latencyMin = options.latencyMax = 20us;
  options.sendBuffer = options.receiveBuffer = 256 * 1024;
  options.receiveBuffers = 256;
  options.receiveBufferSize = 8192;
  return options;
}

class SimWorld final : public World {
 public:
  SimWorld() : network_(plainNetwork()), loop_(network_.makeProactor("loop")) {
    network_.addLoop(loop_.proactor(), [this] { loop_.runOnce(kForever); });
  }

  EventLoop& loop() override { return loop_; }

  void connect(const InetAddress& server, std::size_t peers) override {
    for (std::size_t i = 0; i < peers; ++i) {
      clients_.emplace_back(network_, "client").setBytesCallback([](std::string_view) {});
      clients_.back().connect(server);
    }
    runUntil([this] { return areFinished(); });
  }

  void exchange(std::string_view text) override {
    for (SimClient& client : clients_) {
      client.send(std::string(text)).awaitBytes(client.bytesReceived() + text.size());
    }
    runUntil([this] { return areFinished(); });
  }

  void disconnect() override {
    for (SimClient& client : clients_) client.close();
    runUntil([this] { return areFinished(); });
    clients_.clear();
  }

  void runUntil(const std::function<bool()>& isDone) override {
    const Counted counted;
    if (!network_.runUntil(isDone, 1h)) throw std::runtime_error("the simulation got stuck");
  }

 private:
  bool areFinished() const {
    for (const SimClient& client : clients_) {
      if (!client.isFinished()) return false;
    }
    return true;
  }

  SimNetwork network_;
  EventLoop loop_;
  std::deque<SimClient> clients_;
};

}  // namespace

std::unique_ptr<World> makeSimWorld() { return std::make_unique<SimWorld>(); }

}  // namespace gyre::guard
