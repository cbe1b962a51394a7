#include "gyre/client/TcpClient.h"

#include <utility>

#include "client/ClientCore.h"
#include "gyre/base/Check.h"

namespace gyre {

TcpClient::TcpClient(EventLoop* loop, const InetAddress& server, std::string name)
    : core_(ClientCore::make(loop, {.addresses = {server}}, std::move(name))) {}

TcpClient::TcpClient(EventLoop* loop, NameResolver* resolver, HostPort server, std::string name)
    : core_(ClientCore::make(loop, {.resolver = resolver, .name = std::move(server)},
                             std::move(name))) {
  GYRE_CHECK(resolver->getLoop() == loop,
             "a TcpClient was given the resolver of another loop: make one for each loop");
}

TcpClient::~TcpClient() {
  core_->loop()->assertInLoopThread();
  core_->end();
}

// --- Before connect

void TcpClient::setConnectOptions(const ConnectOptions& options) {
  core_->checkNotAsked("setConnectOptions");
  core_->connector().setOptions(options);
}
void TcpClient::setConnectionOptions(const ConnectionOptions& options) {
  core_->profileBeforeConnect("setConnectionOptions").options = options;
}
void TcpClient::setConnectionCallback(ConnectionCallback callback) {
  core_->profileBeforeConnect("setConnectionCallback").onConnection = std::move(callback);
}
void TcpClient::setMessageCallback(MessageCallback callback) {
  core_->profileBeforeConnect("setMessageCallback").onMessage = std::move(callback);
}
void TcpClient::setWriteCompleteCallback(WriteCompleteCallback callback) {
  core_->profileBeforeConnect("setWriteCompleteCallback").onWriteComplete = std::move(callback);
}
void TcpClient::setHighWaterMarkCallback(HighWaterMarkCallback callback,
                                         std::size_t highWaterMark) {
  ConnectionProfile& profile = core_->profileBeforeConnect("setHighWaterMarkCallback");
  profile.onHighWaterMark = std::move(callback);
  profile.options.highWaterMark = highWaterMark;
}
void TcpClient::setHalfCloseCallback(HalfCloseCallback callback) {
  core_->profileBeforeConnect("setHalfCloseCallback").onHalfClose = std::move(callback);
}
void TcpClient::setCloseCallback(CloseCallback callback) {
  core_->profileBeforeConnect("setCloseCallback").onClose = std::move(callback);
}
void TcpClient::setConnectFailedCallback(ConnectFailedCallback callback) {
  core_->checkNotAsked("setConnectFailedCallback");
  core_->setFailedCallback(std::move(callback));
}

// --- Any thread

void TcpClient::connect() {
  core_->noteAsked();
  core_->post(&ClientCore::connect);
}
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

RefPtr<ConnectionProfile> TcpClient::makeProfile() const {
  core_->loop()->assertInLoopThread();
  return core_->makeProfile();
}

}  // namespace gyre
