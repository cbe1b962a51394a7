#include "gyre/sim/SimClient.h"

#include <utility>

#include "sim/SimPeer.h"

namespace gyre {

using Kind = SimStep::Kind;

SimClient::SimClient(SimNetwork& network, std::string name)
    : peer_(std::make_unique<SimPeer>(network.fabric(), std::move(name))) {}

SimClient::~SimClient() = default;

SimClient& SimClient::append(SimStep&& step) {
  peer_->append(std::move(step));
  return *this;
}

SimClient& SimClient::connect(const InetAddress& to) {
  return append({.kind = Kind::Connect, .address = to});
}

SimClient& SimClient::send(std::string bytes, SimPace pace) {
  return append({.kind = Kind::Send, .bytes = std::move(bytes), .pace = pace});
}

SimClient& SimClient::awaitBytes(std::size_t total) {
  return append({.kind = Kind::AwaitBytes, .count = total});
}

SimClient& SimClient::awaitEnd() { return append({.kind = Kind::AwaitEnd}); }

SimClient& SimClient::halfClose() { return append({.kind = Kind::HalfClose}); }

SimClient& SimClient::close() { return append({.kind = Kind::Close}); }

SimClient& SimClient::reset() { return append({.kind = Kind::Reset}); }

SimClient& SimClient::stall() { return append({.kind = Kind::Stall}); }

SimClient& SimClient::resume() { return append({.kind = Kind::Resume}); }

SimClient& SimClient::wait(Duration duration) {
  return append({.kind = Kind::Wait, .duration = duration});
}

SimClient& SimClient::then(Call call) {
  return append({.kind = Kind::Call, .call = [this, run = std::move(call)] { run(*this); }});
}

SimClient& SimClient::setReadPace(SimPace pace) {
  peer_->setReadPace(pace);
  return *this;
}

SimClient& SimClient::setBytesCallback(BytesCallback callback) {
  peer_->setBytesCallback(std::move(callback));
  return *this;
}

bool SimClient::isFinished() const noexcept { return peer_->isFinished(); }

bool SimClient::isConnected() const noexcept { return peer_->observed().connected; }

int SimClient::connectError() const noexcept { return peer_->observed().connectError; }

bool SimClient::hasEnded() const noexcept { return peer_->observed().ended; }

bool SimClient::wasReset() const noexcept { return peer_->observed().reset; }
bool SimClient::hasResetServer() const noexcept { return peer_->hasResetServer(); }

const std::string& SimClient::received() const noexcept { return peer_->observed().received; }

std::uint64_t SimClient::bytesReceived() const noexcept { return peer_->observed().bytesReceived; }

std::uint64_t SimClient::bytesSent() const noexcept { return peer_->observed().bytesSent; }

InetAddress SimClient::localAddress() const noexcept { return peer_->observed().localAddress; }

const std::string& SimClient::name() const noexcept { return peer_->name(); }

}  // namespace gyre
