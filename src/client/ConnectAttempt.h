// ConnectAttempt: one socket on its way to one address, until it is connected or has failed.
//
// A unix socket with a full backlog says EAGAIN, and nothing tells when there is room: the attempt
// asks again, after 1 ms at first and every 128 ms at last.
//
// Thread  The loop's.
// Owns    The socket, until it is handed over.
// Ends    With the terminal completion of the connect; the loop's registry owns it until then, so
//         that whoever started it may go at any time.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "gyre/client/ConnectOptions.h"
#include "gyre/loop/EventLoop.h"

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
  using Done = std::function<void(const ConnectAttempt&, const ConnectResult&)>;

  // `done` runs once, never inside a call of this class, and not at all after cancel(). It has no
  // timeout of its own: see expire(). May throw std::bad_alloc.
  static std::shared_ptr<ConnectAttempt> start(EventLoop* loop, const InetAddress& to,
                                               const ConnectOptions& options, Done done);
  // Internal: see start().
  ConnectAttempt(EventLoop* loop, const InetAddress& to, Done done);
  ~ConnectAttempt() override;

  const InetAddress& to() const noexcept { return to_; }
  // Fails soon with ETIMEDOUT, unless it has succeeded by then.
  void expire() noexcept;
  void cancel() noexcept;
  void beginClose() noexcept override;
  void settle() noexcept override;

 private:
  int open(const ConnectOptions& options);
  void connect() noexcept;
  void askAgainLater() noexcept;
  void stopAsking() noexcept;
  void endBy(int error) noexcept;
  static void handleConnect(IoContext& context, const IoResult& result) noexcept;
  void finish(ConnectResult result);
  std::string_view explain(int error) const noexcept;
  bool isConnectedToItself() const noexcept;

  EventLoop* const loop_;
  const InetAddress to_;
  Done done_;
  IoContext connect_;
  SocketHandle socket_;
  TimerId askAgain_;
  Duration askAgainAfter_;
  int endError_ = 0;  // what it ends with where no completion says so: settle() tells
  bool isExpired_ = false;
  bool isEnding_ = false;    // nothing is asked again
  bool isFinished_ = false;  // told, or cancelled and joined
};

}  // namespace gyre
