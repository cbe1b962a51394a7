// Acceptor: keeps accept armed on one listener and hands on every new socket.
//
// Thread  The loop's.
// Owns    The listener.
// Ends    beginClose() cancels the accept; what still completes is handed on, then the listener is
//         closed. It is never shut down: another process may share it.
#pragma once

#include <functional>

#include "gyre/base/Export.h"
#include "gyre/loop/EventLoop.h"

namespace gyre {

class GYRE_API Acceptor final : public LoopResident {
 public:
  struct Callbacks {
    std::function<void(SocketHandle)> onSocket;  // takes over the socket
    std::function<void()> onBatch;               // once per iteration that brought sockets
    std::function<void()> onClosed;              // the last
  };

  Acceptor(EventLoop* loop, Callbacks callbacks);
  ~Acceptor() override;

  // Binds, listens, and arms the accept. The loop keeps this alive until it is closed. Throws
  // std::system_error naming address, cause and cure. REQUIRES: called once.
  static void listen(const std::shared_ptr<Acceptor>& acceptor, const InetAddress& address,
                     const ListenOptions& options);
  // Where it listens, with the port that the kernel chose for port 0.
  const InetAddress& address() const noexcept { return address_; }

  void beginClose() override;
  void settle() override;
  const void* group() const noexcept override { return this; }

 private:
  static void handleAccept(IoContext& context, const IoResult& result);
  void finish(int error);

  EventLoop* const loop_;
  const Callbacks callbacks_;
  IoContext accept_;
  SocketHandle listener_;
  InetAddress address_;
  bool hasBatch_ = false;
};

}  // namespace gyre
