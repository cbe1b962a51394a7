#include "support/ConformanceSimWorld.h"

#include <algorithm>
#include <string>
#include <utility>

#include "sim/SimFabric.h"

namespace gyre {
namespace {

void arrive(SimNetwork& network) { network.runFor(Duration::zero()); }

class SimulatedPeer final : public ConformancePeer {
 public:
  SimulatedPeer(SimNetwork& network, std::shared_ptr<SimLink> link, SimSide side)
      : network_(network), link_(std::move(link)), side_(side) {}
  ~SimulatedPeer() override { close(); }

  std::size_t sendSome(std::string_view bytes) override {
    if (link_->takeWriteError(side_) != 0) return 0;
    const std::size_t size = std::min(bytes.size(), link_->room(side_));
    link_->write(side_, bytes.substr(0, size));
    arrive(network_);
    return size;
  }

  bool receiveSome(std::string& into, std::size_t limit) override {
    arrive(network_);
    std::string bytes(std::min(limit, link_->readable(side_)), '\0');
    if (!bytes.empty()) {
      link_->read(side_, bytes);
      into += bytes;
      return true;
    }
    if (!link_->isAtEnd(side_)) return false;
    const int error = link_->takeError(side_);
    if (error != 0) error_ = error;
    if (error_ == 0) hasEnded_ = true;
    return false;
  }

  bool hasEnded() const override { return hasEnded_; }
  int error() const override { return error_; }

  void halfClose() override {
    link_->shutdownWrite(side_);
    arrive(network_);
  }
  void reset() override {
    link_->setLingerZero(side_);
    close();
  }
  void close() override {
    if (!isOpen_) return;
    isOpen_ = false;
    link_->close(side_);
    arrive(network_);
  }

 private:
  SimNetwork& network_;
  const std::shared_ptr<SimLink> link_;
  const SimSide side_;
  bool isOpen_ = true;
  bool hasEnded_ = false;
  int error_ = 0;
};

SimOptions withoutLatency(SimOptions options) {
  options.latencyMin = options.latencyMax = Duration::zero();
  return options;
}

}  // namespace

ConformanceSimWorld::ConformanceSimWorld(SimOptions options) : network_(withoutLatency(options)) {}

SimTcp& ConformanceSimWorld::tcp() { return network_.fabric().tcp; }

SimSocket& ConformanceSimWorld::accepting() {
  if (accepting_ == nullptr) accepting_ = &tcp().listen(InetAddress::loopback(0), {});
  return *accepting_;
}

std::shared_ptr<SimLink> ConformanceSimWorld::connect(const InetAddress& address) {
  std::shared_ptr<SimLink> made = tcp().connect(address);
  arrive(network_);
  return made;
}

ConformanceLink ConformanceSimWorld::link(Proactor&, int bufferBytes) {
  SimSocket& listener = accepting();
  const std::shared_ptr<SimLink> made = connect(listener.listener->address);
  listener.listener->backlog.pop_back();
  const SimSocket& near = tcp().openAccepted(made, listener);
  const SimSide far = peerOf(near.side);
  if (bufferBytes > 0) {
    made->setSendBuffer(near.side, static_cast<std::size_t>(bufferBytes));
    made->setReceiveBuffer(far, static_cast<std::size_t>(bufferBytes));
  }
  return {SocketHandle(near.number), std::make_unique<SimulatedPeer>(network_, made, far)};
}

std::unique_ptr<ConformancePeer> ConformanceSimWorld::connectTo(const InetAddress& address) {
  return std::make_unique<SimulatedPeer>(network_, connect(address), SimSide::Connector);
}

std::unique_ptr<ConformancePeer> ConformanceSimWorld::takeClient() {
  auto& backlog = accepting().listener->backlog;
  if (backlog.empty()) return nullptr;
  auto taken = std::make_unique<SimulatedPeer>(network_, backlog.front(), SimSide::Acceptor);
  backlog.pop_front();
  return taken;
}

InetAddress ConformanceSimWorld::acceptingAddress() { return accepting().listener->address; }

InetAddress ConformanceSimWorld::refusingAddress() { return InetAddress::loopback(1); }

// A full backlog: who connects tries again for two minutes.
InetAddress ConformanceSimWorld::silentAddress() {
  if (silent_ == nullptr) {
    silent_ = &tcp().listen(InetAddress::loopback(0), {.backlog = 1});
    connect(silent_->listener->address);
  }
  return silent_->listener->address;
}

InetAddress ConformanceSimWorld::fullUnixAddress() {
  if (fullUnix_ == nullptr) {
    fullUnix_ = &tcp().listen(InetAddress("unix:@full"), {.backlog = 1});
    connect(fullUnix_->listener->address);
  }
  return fullUnix_->listener->address;
}

void ConformanceSimWorld::takeFromFullUnix() { fullUnix_->listener->backlog.pop_front(); }

}  // namespace gyre
