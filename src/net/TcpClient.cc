#include "gyre/net/TcpClient.h"

#include <utility>

#include "net/ClientCore.h"

namespace gyre {

TcpClient::TcpClient(EventLoop* loop, const InetAddress& server, std::string name)
    : core_(ClientCore::make(loop, {.addresses = {server}}, std::move(name))) {}

TcpClient::TcpClient(EventLoop* loop, Resolver* resolver, HostPort server, std::string name)
    : core_(ClientCore::make(loop, {.resolver = resolver, .name = std::move(server)},
                             std::move(name))) {}

TcpClient::~TcpClient() {
  core_->loop()->assertInLoopThread();
  core_->end();
}

// --- Before connect

void TcpClient::setConnectOptions(const ConnectOptions& options) {
  core_->connector().setOptions(options);
}
void TcpClient::setConnectionOptions(const ConnectionOptions& options) {
  core_->profile().options = options;
}
void TcpClient::setConnectionCallback(ConnectionCallback callback) {
  core_->profile().onConnection = std::move(callback);
}
void TcpClient::setMessageCallback(MessageCallback callback) {
  core_->profile().onMessage = std::move(callback);
}
void TcpClient::setWriteCompleteCallback(WriteCompleteCallback callback) {
  core_->profile().onWriteComplete = std::move(callback);
}
void TcpClient::setHighWaterMarkCallback(HighWaterMarkCallback callback,
                                         std::size_t highWaterMark) {
  core_->profile().onHighWaterMark = std::move(callback);
  core_->profile().options.highWaterMark = highWaterMark;
}
void TcpClient::setHalfCloseCallback(HalfCloseCallback callback) {
  core_->profile().onHalfClose = std::move(callback);
}
void TcpClient::setCloseCallback(CloseCallback callback) {
  core_->profile().onClose = std::move(callback);
}
void TcpClient::setConnectFailedCallback(ConnectFailedCallback callback) {
  core_->setFailedCallback(std::move(callback));
}

// --- Any thread

void TcpClient::connect() { core_->post(&ClientCore::connect); }
void TcpClient::disconnect() { core_->post(&ClientCore::disconnect); }
void TcpClient::stop() { core_->post(&ClientCore::stop); }
void TcpClient::enableRetry() { core_->post(&ClientCore::enableRetry); }
TcpConnectionPtr TcpClient::connection() const { return core_->connection(); }
const std::string& TcpClient::name() const noexcept { return core_->profile().name; }
EventLoop* TcpClient::getLoop() const noexcept { return core_->loop(); }

// --- Loop thread

ClientState TcpClient::state() const {
  core_->loop()->assertInLoopThread();
  return core_->state();
}

RefPtr<ConnectionProfile> TcpClient::makeProfile() const { return core_->makeProfile(); }

}  // namespace gyre
