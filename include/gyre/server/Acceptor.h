// Acceptor: keeps accept armed on one listener and hands on every new socket.
//
// Thread  The loop's (CHECKed).
// Owns    The listener.
// Ends    beginClose() cancels the accept; what still completes is handed on, then the listener is
//         closed. It is never shut down: another process may share it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "gyre/base/Export.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/loop/ReservedTimer.h"

namespace gyre {

class GYRE_API Acceptor final : public LoopResident {
 public:
  struct Callbacks {
    std::function<void(SocketHandle)> onSocket;  // takes over the socket
    std::function<void()> onBatch;               // once per iteration that brought sockets
    std::function<void()> onClosed;              // the last
    std::string server = {};                     // its name, for the log
  };
  // None of them throws: nobody could take it.

  // Whether other processes may accept on the listener too.
  enum class Sharing : std::uint8_t { Unshared, Processes };

  Acceptor(EventLoop* loop, Callbacks callbacks, Sharing sharing = Sharing::Unshared);
  ~Acceptor() override;

  // Arms the accept on a listener, which it takes over. The loop keeps this alive until it is
  // closed. May throw std::bad_alloc: then the listener is still the caller's. REQUIRES: called
  // once.
  static void start(const std::shared_ptr<Acceptor>& acceptor, SocketHandle listener);
  // The same where nobody can be told: without memory the listener is closed, as if it had ended.
  static void startOrClose(const std::shared_ptr<Acceptor>& acceptor,
                           SocketHandle listener) noexcept;
  // Clients wait in the backlog until resume(). What had been accepted by then is still handed on.
  void pause() noexcept;
  void resume() noexcept;

  // Any thread. The errno value by which accepting has ended for good, before onClosed; else 0.
  int failure() const noexcept { return failure_.load(std::memory_order_acquire); }

  void beginClose() noexcept override;
  void settle() noexcept override;
  const void* group() const noexcept override { return this; }

 private:
  static void handleAccept(IoContext& context, const IoResult& result) noexcept;
  void handleEnd(int error) noexcept;
  void finish() noexcept;

  EventLoop* const loop_;
  const Callbacks callbacks_;
  const Sharing sharing_;
  IoContext accept_;
  std::optional<ReservedTimer> retry_;
  SocketHandle listener_;
  std::atomic<int> failure_{0};
  bool hasBatch_ = false;
  bool isPaused_ = false;
  bool isClosing_ = false;
};

}  // namespace gyre
