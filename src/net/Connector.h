// Connector: tries a server's addresses in turn, round after round, until one is connected.
//
// Thread  The loop's.
// Owns    The query, the attempt or the timer at hand.
// Ends    By stop(), or with its last owner: no callback runs after that.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "gyre/loop/EventLoop.h"
#include "gyre/net/ConnectOptions.h"
#include "gyre/net/Resolver.h"
#include "net/Backoff.h"
#include "net/ConnectAttempt.h"

namespace gyre {

// Addresses, or a name that is resolved anew for each round.
struct ConnectTarget {
  std::vector<InetAddress> addresses = {};
  Resolver* resolver = nullptr;
  HostPort name = {};
};

class Connector final : public std::enable_shared_from_this<Connector> {
 public:
  enum class State : std::uint8_t { Idle, Resolving, Connecting, Waiting };
  struct Callbacks {
    std::function<void(SocketHandle)> onConnected;  // takes over the socket
    ConnectFailedCallback onFailed;
  };

  Connector(EventLoop* loop, ConnectTarget target, Callbacks callbacks);
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;
  ~Connector();

  // REQUIRES: idle.
  void setOptions(const ConnectOptions& options);

  // Begins a round now; nothing while one is under way.
  void start();
  // Begins a round after the delay that is due.
  void startLater();
  void stop();
  // The next delay is the first again.
  void resetBackoff() noexcept { backoff_->reset(); }
  State state() const noexcept { return state_; }
  const ConnectOptions& options() const noexcept { return options_; }

 private:
  void beginRound();
  void resolve();
  void nameResolved(const ResolveResult& result);
  void tryNext();
  void attemptEnded(const ConnectResult& result);
  void fail(ConnectFailure failure);
  Duration waitForRound() noexcept;

  EventLoop* const loop_;
  Resolver* const resolver_;  // null when the addresses are given
  const HostPort name_;
  const Callbacks callbacks_;
  ConnectOptions options_;
  std::unique_ptr<Backoff> backoff_;
  std::vector<InetAddress> addresses_;
  std::size_t next_ = 0;  // the first of them not yet tried in this round
  int round_ = 1;         // the one at hand, of those that fail in a row
  State state_ = State::Idle;
  ResolveId query_ = ResolveId::NoQuery;
  std::shared_ptr<ConnectAttempt> attempt_;
  TimerId timer_;
};

}  // namespace gyre
