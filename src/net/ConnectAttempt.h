// ConnectAttempt: one socket on its way to one address, until it is connected, failed or too late.
//
// Thread  The loop's.
// Owns    The socket, until it is handed over.
// Ends    With the terminal completion of the connect; the loop's registry owns it until then, so
//         that whoever started it may go at any time.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "gyre/loop/EventLoop.h"
#include "gyre/net/ConnectOptions.h"

namespace gyre {

struct ConnectResult {
  SocketHandle socket = {};      // to be taken over when error is 0
  int error = 0;                 // or an errno value; ECANCELED only when the loop ends
  std::string_view reason = {};  // lives for ever
};

// Cause and cure of a failed connect, in words.
std::string_view explainConnectError(int error) noexcept;

class ConnectAttempt final : public LoopResident,
                             public std::enable_shared_from_this<ConnectAttempt> {
 public:
  using Done = std::function<void(const ConnectResult&)>;

  // `done` runs once, never inside this call, and not at all after cancel(). May throw
  // std::bad_alloc.
  static std::shared_ptr<ConnectAttempt> start(EventLoop* loop, const InetAddress& to,
                                               const ConnectOptions& options, Done done);
  // Internal: see start().
  ConnectAttempt(EventLoop* loop, const InetAddress& to, Done done);
  ~ConnectAttempt() override;

  void cancel();
  void beginClose() noexcept override;
  void settle() noexcept override;

 private:
  int open(const ConnectOptions& options);
  void startTimer(TimeSpan timeout);
  static void handleConnect(IoContext& context, const IoResult& result) noexcept;
  void finish(ConnectResult result);
  bool isConnectedToItself() const noexcept;

  EventLoop* const loop_;
  const InetAddress to_;
  Done done_;
  IoContext connect_;
  SocketHandle socket_;
  TimerId timer_;
  int openError_ = 0;  // the attempt failed before it began: settle() tells
  bool isTooLate_ = false;
};

}  // namespace gyre
