#include "support/ServerFixture.h"

#include <utility>

namespace gyre {

WatchedServer::WatchedServer(EventLoop& loop, ServerScript script)
    : server_(std::make_unique<TcpServer>(&loop, InetAddress::loopback(0), "test")) {
  server_->setThreadNum(script.threads);
  const RefPtr<ConnectionProfile> watched = server_->makeProfile();
  fill(*watched, script);
  server_->setConnectionOptions(watched->options);
  server_->setConnectionCallback(watched->onConnection);
  server_->setMessageCallback(watched->onMessage);
  server_->setWriteCompleteCallback(watched->onWriteComplete);
  server_->setHighWaterMarkCallback(watched->onHighWaterMark, watched->options.highWaterMark);
  server_->setHalfCloseCallback(watched->onHalfClose);
  server_->setCloseCallback(watched->onClose);
  if (script.configure) script.configure(*server_);
}

WatchedServer::~WatchedServer() { end(); }

void WatchedServer::end() {
  server_.reset();
  watch_.expectAllClosed();
}

void WatchedServer::fill(ConnectionProfile& profile, const ServerScript& script) {
  using Scope = CallbackWatch::Scope;
  profile.options = script.options;
  profile.onConnection = [this, up = script.onUp, down = script.onDown](const auto& connection) {
    const bool isUp = connection->connected();
    const Scope scope(watch_, *connection, isUp ? CallbackKind::Up : CallbackKind::Down);
    if (const auto& callback = isUp ? up : down) callback(connection);
  };
  profile.onMessage = [this, call = script.onMessage](const auto& connection, Buffer& in) {
    const Scope scope(watch_, *connection, CallbackKind::Message);
    if (call) call(connection, in);
  };
  profile.onWriteComplete = [this, call = script.onWriteComplete](const auto& connection) {
    const Scope scope(watch_, *connection, CallbackKind::WriteComplete);
    if (call) call(connection);
  };
  profile.onHighWaterMark = [this, call = script.onHighWater](const auto& connection,
                                                              std::size_t bytes) {
    const Scope scope(watch_, *connection, CallbackKind::HighWater);
    if (call) call(connection, bytes);
  };
  profile.onClose = [this, call = script.onClose](const auto& connection) {
    const Scope scope(watch_, *connection, CallbackKind::Close);
    if (call) call(connection);
  };
  // Having one means something, so it is not set without need.
  profile.onHalfClose = nullptr;
  if (!script.onHalfClose) return;
  profile.onHalfClose = [this, call = script.onHalfClose](const auto& connection) {
    const Scope scope(watch_, *connection, CallbackKind::HalfClose);
    call(connection);
  };
}

void ServerFixture::TearDown() {
  endServer();
  LoopFixture::TearDown();
}

// Its callbacks come until it has ended, and may ask for it.
void ServerFixture::endServer() {
  if (server_ != nullptr) server_->end();
  server_.reset();
}

void ServerFixture::start(ServerScript script) {
  server_ = std::make_unique<WatchedServer>(loop(), std::move(script));
  server_->start();
}

Peer ServerFixture::connect(int receiveBuffer) {
  return Peer(server_->address(), pump(), receiveBuffer);
}

std::vector<Peer> ServerFixture::connectMany(std::size_t count) {
  const std::size_t before = this->count(CallbackKind::Up);
  std::vector<Peer> peers;
  peers.reserve(count);
  while (peers.size() < count) {
    peers.push_back(connect());
    // So that the backlog never runs full.
    if (peers.size() % 512 == 0) runUntilUp(before + peers.size());
  }
  runUntilUp(before + count);
  return peers;
}

bool ServerFixture::runUntilUp(std::size_t count) {
  return runUntil([&] { return this->count(CallbackKind::Up) >= count; });
}

bool ServerFixture::runUntilClosed(std::size_t count) {
  return runUntil([&] { return this->count(CallbackKind::Close) >= count; });
}

bool ServerFixture::echoes(std::string_view text) {
  Peer peer = connect();
  return peer.send(text) && peer.receive(text.size()) == text;
}

}  // namespace gyre
