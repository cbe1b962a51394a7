// ServerFixture: a loop on the test's thread, a watched server on it, and peers that talk to it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "gyre/server/TcpServer.h"
#include "support/CallbackWatch.h"
#include "support/LoopFixture.h"
#include "support/Peer.h"

namespace gyre {

inline void echo(const TcpConnectionPtr& connection, Buffer& in) { connection->send(in); }
// Leaves the bytes where they are: they pile up.
inline void keepAll(const TcpConnectionPtr&, Buffer&) {}

// What a server does.
struct ServerScript {
  int threads = 0;
  ConnectionOptions options = {};
  ConnectionCallback onUp = {};
  MessageCallback onMessage = echo;
  WriteCompleteCallback onWriteComplete = {};
  HighWaterMarkCallback onHighWater = {};
  HalfCloseCallback onHalfClose = {};  // set on the server only when set here
  ConnectionCallback onDown = {};
  CloseCallback onClose = {};
  std::function<void(TcpServer&)> configure = {};  // what else is said before the start
};

// A TcpServer on a free port of 127.0.0.1, all its callbacks under watch. Its end expects that
// every connection was closed.
class WatchedServer {
 public:
  WatchedServer(EventLoop& loop, ServerScript script);
  ~WatchedServer();

  void start() { server_->start(); }
  // Destroys the server.
  void end();
  TcpServer& operator*() noexcept { return *server_; }
  TcpServer* operator->() noexcept { return server_.get(); }
  CallbackWatch& watch() noexcept { return watch_; }
  InetAddress address() const { return server_->listenAddress(); }
  // Gives this profile the watched callbacks of a script, options included.
  void fill(ConnectionProfile& profile, const ServerScript& script);

 private:
  CallbackWatch watch_;
  std::unique_ptr<TcpServer> server_;
};

class ServerFixture : public LoopFixture {
 protected:
  void TearDown() override;

  // Makes and starts the server. The threads of its pool are its own.
  void start(ServerScript script = {});
  WatchedServer& server() noexcept { return *server_; }
  void endServer();
  CallbackWatch& watch() noexcept { return server_->watch(); }
  std::size_t count(CallbackKind kind) { return server_->watch().count(kind); }

  // While a peer made by these waits, the loop runs.
  Peer connect(int receiveBuffer = 0);
  Peer connectTo(const InetAddress& address) { return Peer(address, pump()); }
  // All up when it returns.
  std::vector<Peer> connectMany(std::size_t count);
  Peer::Pump pump() {
    return [this] { runOnce(); };
  }
  // Runs the loop until so many connections are up, or have been closed, since the start.
  bool runUntilUp(std::size_t count);
  bool runUntilClosed(std::size_t count);
  // True when the server still serves.
  bool echoes(std::string_view text = "are you there?");

 private:
  std::unique_ptr<WatchedServer> server_;
};

}  // namespace gyre
