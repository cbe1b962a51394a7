// SignalWatcher: signals as callbacks of a loop, through a signalfd.
//
// Thread  The loop's.
// Owns    The signalfd. The signals stay blocked in this thread, and in the threads and processes
//         that it starts afterwards. For processes, ChildSignals.h has the remedy.
// Ends    With its loop, or by beginClose().
#pragma once

#include <sys/signalfd.h>

#include <csignal>
#include <functional>
#include <initializer_list>
#include <memory>

#include "gyre/base/Export.h"
#include "gyre/base/UniqueFd.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/loop/ReservedTimer.h"

namespace gyre {

class GYRE_API SignalWatcher final : public LoopResident {
 public:
  using Callback = std::function<void(int signal)>;

  // Blocks the signals of these numbers and runs `callback` on the loop for each that comes. To be
  // called before other threads are started: they inherit what is blocked. Throws
  // std::system_error, or std::bad_alloc: then the signals are blocked as before.
  static std::shared_ptr<SignalWatcher> watch(EventLoop* loop, std::initializer_list<int> numbers,
                                              Callback callback);
  // Watches them and quits the loop at each. Before TcpServer::start(), which starts threads: a
  // signal that a thread does not block ends the process.
  static void quitOn(EventLoop* loop, std::initializer_list<int> numbers = {SIGINT, SIGTERM});
  // Internal
  SignalWatcher(EventLoop* loop, UniqueFd fd, Callback callback);
  ~SignalWatcher() override;
  void beginClose() noexcept override;
  void settle() noexcept override;

 private:
  static std::shared_ptr<SignalWatcher> open(EventLoop* loop, const sigset_t& set,
                                             Callback callback);
  void read() noexcept;
  void end(int error) noexcept;
  void handleSignal(int signal) noexcept;
  static void handleRead(IoContext& context, const IoResult& result) noexcept;

  EventLoop* const loop_;
  UniqueFd fd_;  // until the loop's engine has adopted it
  SocketHandle handle_;
  const Callback callback_;
  IoContext read_;
  ReservedTimer retry_;
  signalfd_siginfo info_{};
  bool isClosing_ = false;
};

}  // namespace gyre
