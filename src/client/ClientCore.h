// ClientCore: what a TcpClient is made of; what other threads have posted may outlive the client.
//
// Thread  The loop's, except for connection().
// Owns    The connector, the profile of its connections, the connection together with the loop.
// Ends    By end(): after that nothing of the user's is called.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "client/Connector.h"
#include "gyre/connection/TcpConnection.h"

namespace gyre {

class ClientCore final : public std::enable_shared_from_this<ClientCore> {
 public:
  static std::shared_ptr<ClientCore> make(EventLoop* loop, ConnectTarget target, std::string name);
  // Internal: see make().
  explicit ClientCore(EventLoop* loop) : loop_(loop) {}
  ClientCore(const ClientCore&) = delete;
  ClientCore& operator=(const ClientCore&) = delete;
  ~ClientCore();

  void connect();
  void disconnect();
  void stop() noexcept;
  void enableRetry() { isRetrying_ = true; }
  // Loop thread: the connection is closed, and nothing of the user's is called any more.
  void end() noexcept;

  EventLoop* loop() const noexcept { return loop_; }
  ClientState state() const;
  TcpConnectionPtr connection() const;  // any thread
  ConnectionProfile& profile() const noexcept { return *profile_; }
  // Any thread: connect() was called, so that what it reads is not to be changed any more.
  void noteAsked() noexcept { isAsked_.store(true, std::memory_order_relaxed); }
  void checkNotAsked(const char* call) const;
  ConnectionProfile& profileBeforeConnect(const char* call) const;
  RefPtr<ConnectionProfile> makeProfile() const;
  Connector& connector() const noexcept { return *connector_; }
  void setFailedCallback(ConnectFailedCallback callback) { onFailed_ = std::move(callback); }

  // Runs a method on the loop, from any thread.
  void post(void (ClientCore::*method)());

 private:
  void prepare(ConnectTarget target, std::string name);
  void establish(SocketHandle socket) noexcept;
  void tellFailed(const ConnectFailure& failure) noexcept;
  void handleGone() noexcept;
  bool forgetClosed();
  void setConnection(TcpConnectionPtr connection) noexcept;

  EventLoop* const loop_;
  RefPtr<ConnectionProfile> profile_;
  std::shared_ptr<Connector> connector_;
  ConnectFailedCallback onFailed_;
  mutable std::mutex mutex_;
  TcpConnectionPtr connection_;  // written on the loop, under the mutex
  TimePoint upSince_{};
  std::uint64_t lastId_ = 0;
  std::atomic<bool> isAsked_{false};
  bool isWanted_ = false;         // connect() was called, and neither disconnect() nor stop() since
  bool isRetrying_ = false;       // a lost connection is replaced
  bool isAwaited_ = false;        // connect() was called while disconnecting
  bool isDisconnecting_ = false;  // the connection has been told to close
  bool isEnded_ = false;
};

}  // namespace gyre
