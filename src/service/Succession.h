// Succession: a hot restart, seen from the old process: it starts the new one and waits for it.
//
// Thread  The loop's.
// Owns    The reading end of the pipe, while the new process starts.
// Ends    When the new process has reported that it serves, or has ended without; or with the loop.
//         Where this process cannot give way, the new one is ended: never do both go on.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gyre/loop/EventLoop.h"
#include "service/NewProcess.h"

namespace gyre {

class Succession final : public LoopResident {
 public:
  struct Result {
    pid_t successor = 0;  // the pid of the new process; 0: it does not serve
    std::string cause{};  // why not
  };
  using Callback = std::function<void(const Result&)>;

  // `onResult` runs on the loop. The new process waits with what only one of both may do until it
  // has returned. Where it throws, this process goes on: the new one is asked to end (SIGTERM), and
  // `onResult` runs once more when it has. Throws std::system_error when there is no process to be
  // had.
  static void begin(EventLoop* loop, const std::vector<HandedListener>& listeners,
                    Callback onResult);
  // Internal
  Succession(EventLoop* loop, SocketHandle pipe, std::string program, Callback onResult);
  void beginClose() noexcept override;

 private:
  static void handleRead(IoContext& context, const IoResult& result) noexcept;
  void read() noexcept;
  Result judge(const IoResult& result) const noexcept;
  bool report(const Result& result) noexcept;

  EventLoop* const loop_;
  const SocketHandle pipe_;
  const std::string program_;
  const Callback onResult_;
  IoContext read_;
  SuccessionReport report_{};
};

}  // namespace gyre
