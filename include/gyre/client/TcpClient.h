// TcpClient: keeps one connection to a server, connecting again as told.
//
// Thread  Methods under "Any thread" post to the loop; the others belong on it.
// Owns    The connection while it lasts, together with the loop.
// Borrows The loop, and the resolver.
// Ends    On the loop's thread (CHECKed), in every state, also inside any of its callbacks. A
//         connection is closed then without waiting for what is unsent, and no callback of this
//         client runs any more.
#pragma once

#include <memory>
#include <string>

#include "gyre/base/Export.h"
#include "gyre/client/ConnectOptions.h"
#include "gyre/client/NameResolver.h"
#include "gyre/connection/Callbacks.h"
#include "gyre/connection/ConnectionProfile.h"
#include "gyre/connection/TcpConnection.h"
#include "gyre/loop/EventLoop.h"

namespace gyre {

class ClientCore;

class GYRE_API TcpClient {
 public:
  TcpClient(EventLoop* loop, const InetAddress& server, std::string name);
  // Each round resolves the name anew, and races its addresses (Happy Eyeballs, RFC 8305): IPv6 and
  // IPv4 in turn, each 250 ms after the one before or when that has failed. The first that is
  // connected wins.
  // REQUIRES: the resolver is of the same loop and outlives the client.
  TcpClient(EventLoop* loop, NameResolver* resolver, HostPort server, std::string name);
  TcpClient(const TcpClient&) = delete;
  TcpClient& operator=(const TcpClient&) = delete;
  ~TcpClient();

  // --- Before the first connect() (CHECKed)

  void setConnectOptions(const ConnectOptions& options);
  void setConnectionOptions(const ConnectionOptions& options);
  void setConnectionCallback(ConnectionCallback callback);
  void setMessageCallback(MessageCallback callback);
  void setWriteCompleteCallback(WriteCompleteCallback callback);
  void setHighWaterMarkCallback(HighWaterMarkCallback callback, std::size_t highWaterMark);
  void setHalfCloseCallback(HalfCloseCallback callback);
  void setCloseCallback(CloseCallback callback);
  void setConnectFailedCallback(ConnectFailedCallback callback);

  // --- Any thread. On another thread than the loop's each may throw std::bad_alloc: then nothing
  // was asked for.

  // Connects; after a failure again, with growing delays, until it succeeds or stop(). Nothing
  // while that goes on; while waiting to retry, at once; while disconnecting, as soon as that is
  // done.
  void connect();
  // Closes the connection in good order (TcpConnection::shutdown), and gives up connecting.
  void disconnect();
  // Gives up connecting; a connection that is up stays, and is not replaced when it is lost.
  void stop();
  // A connection that is lost, for whatever reason but disconnect() and stop(), is replaced.
  void enableRetry();
  // The connection, from up until just after it was closed; else null.
  TcpConnectionPtr connection() const;
  const std::string& name() const noexcept;
  EventLoop* getLoop() const noexcept;

  // --- Loop thread

  ClientState state() const;
  // For TcpConnection::setProfile: an empty one of this client.
  RefPtr<ConnectionProfile> makeProfile() const;

 private:
  const std::shared_ptr<ClientCore> core_;
};

}  // namespace gyre
