// Succession: starts this program anew, with listening sockets that it inherits.
//
// The new process finds them as it would find those of systemd: LISTEN_FDS and LISTEN_PID. It tells
// that it serves through a pipe named by GYRE_SUCCESSION_FD.
//
// Thread  The loop's.
// Owns    The pipe, while the new process starts.
// Ends    When the new process has said that it serves, or has ended without; or with the loop.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "gyre/loop/EventLoop.h"

namespace gyre {

class Succession final : public LoopResident {
 public:
  // True: it serves. False: it has ended, or could not start; all goes on as before.
  using Callback = std::function<void(bool)>;

  // Throws std::system_error when there is no process to be had.
  static std::shared_ptr<Succession> begin(EventLoop* loop, const std::vector<int>& listeners,
                                           Callback onResult);
  // Internal
  Succession(EventLoop* loop, SocketHandle pipe, Callback onResult);
  void beginClose() noexcept override;

  // In the new process: tells the old one that this one serves. Nothing when there is none.
  static void announce();

 private:
  static void handleRead(IoContext& context, const IoResult& result) noexcept;

  EventLoop* const loop_;
  const SocketHandle pipe_;
  const Callback onResult_;
  IoContext read_;
  char answer_ = 0;
};

}  // namespace gyre
