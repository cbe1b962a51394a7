#include "support/ClientFixture.h"

#include <algorithm>
#include <utility>

namespace gyre {

void ClientFixture::TearDown() {
  endClient();
  settle();
  world_.reset();
  ServerFixture::TearDown();
}

TcpClient& ClientFixture::aim(const InetAddress& server) {
  return watch(std::make_unique<TcpClient>(&loop(), server, "client"));
}

TcpClient& ClientFixture::watch(std::unique_ptr<TcpClient> client) {
  client_ = std::move(client);
  client_->setConnectOptions(quick());
  client_->setConnectionCallback([this](const TcpConnectionPtr& connection) {
    tell(connection->connected() ? "up" : "down");
  });
  client_->setMessageCallback([this](const TcpConnectionPtr&, Buffer& in) {
    received_ += in.retrieveAllAsString();
    tell("message");
  });
  client_->setWriteCompleteCallback([this](const TcpConnectionPtr&) { tell("written"); });
  client_->setCloseCallback([this](const TcpConnectionPtr&) { tell("close"); });
  client_->setConnectFailedCallback([this](const ConnectFailure& failure) {
    failures_.push_back(failure);
    tell("failed");
  });
  return *client_;
}

ConnectOptions ClientFixture::quick() {
  using std::chrono::milliseconds;
  ConnectOptions options;
  options.backoff = {.initial = milliseconds(1), .maximum = milliseconds(4), .jitter = 0};
  return options;
}

ConformanceKernelWorld& ClientFixture::world() {
  if (!world_) world_.emplace(nullptr, ProactorOptions());
  return *world_;
}

void ClientFixture::tell(const std::string& what) {
  told_.push_back(what);
  if (onTold) onTold(what);
}

std::size_t ClientFixture::timesTold(const std::string& what) const {
  return static_cast<std::size_t>(std::count(told_.begin(), told_.end(), what));
}

bool ClientFixture::runUntilTold(const std::string& what, std::size_t times) {
  return runUntil([&] { return timesTold(what) >= times; });
}

}  // namespace gyre
