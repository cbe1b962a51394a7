// SignalWatcher: signals as callbacks of a loop, through a signalfd.
//
// Thread  The loop's.
// Owns    The signalfd. The signals stay blocked in this thread, and in those it starts afterwards.
// Ends    With its loop, or by beginClose().
#pragma once

#include <sys/signalfd.h>

#include <csignal>
#include <functional>
#include <initializer_list>
#include <memory>

#include "gyre/base/Export.h"
#include "gyre/loop/EventLoop.h"

namespace gyre {

class GYRE_API SignalWatcher final : public LoopResident {
 public:
  using Callback = std::function<void(int signal)>;

  // Blocks the signals of these numbers and runs `callback` on the loop for each that comes. To
  // be called before other threads are started: they inherit what is blocked. Throws
  // std::system_error.
  static std::shared_ptr<SignalWatcher> watch(EventLoop* loop, std::initializer_list<int> numbers,
                                              Callback callback);
  // Watches them and quits the loop at each. Before TcpServer::start(), which starts threads: a
  // signal that a thread does not block ends the process.
  static void quitOn(EventLoop* loop, std::initializer_list<int> numbers = {SIGINT, SIGTERM});
  // Internal
  SignalWatcher(EventLoop* loop, SocketHandle handle, Callback callback);
  void beginClose() noexcept override;

 private:
  void end(int error);
  static void handleRead(IoContext& context, const IoResult& result) noexcept;

  EventLoop* const loop_;
  const SocketHandle handle_;
  const Callback callback_;
  IoContext read_;
  signalfd_siginfo info_{};
};

}  // namespace gyre
