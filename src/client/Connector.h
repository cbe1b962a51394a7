// Connector: resolves a server's name and races its addresses, round after round, until one wins.
//
// A round is Happy Eyeballs (RFC 8305): each attempt has ConnectOptions::attemptDelay to itself,
// then the next address is tried beside it; when one fails, the next is tried at once. The first
// that succeeds wins, and the others are cancelled. A round ends without a winner when all
// addresses have failed, or at ConnectOptions::timeout.
//
// Thread  The loop's.
// Owns    The query and the attempts at hand, and the timer, whose memory is taken by the first
//         start, so that no round fails to come for want of it. Without it onFailed says so.
// Ends    By stop(), or with its last owner: no callback runs after that, and none inside a call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "client/Backoff.h"
#include "client/ConnectAttempt.h"
#include "gyre/client/ConnectOptions.h"
#include "gyre/client/NameResolver.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/loop/LoopCall.h"

namespace gyre {

// Addresses, or a name that is resolved anew for each round.
struct ConnectTarget {
  std::vector<InetAddress> addresses = {};
  NameResolver* resolver = nullptr;
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
  void stop() noexcept;
  // The next delay is the first again.
  void resetBackoff() noexcept { backoff_->reset(); }
  State state() const noexcept { return state_; }
  const ConnectOptions& options() const noexcept { return options_; }

 private:
  void beginRound();
  bool reserveTimer();
  void giveUp() noexcept;
  void tellGivenUp();
  void leaveRound() noexcept;
  void endRound(ConnectFailure failure);
  void resolve();
  void nameResolved(const ResolveResult& result);
  void insert(const std::vector<InetAddress>& found);
  void proceed();
  bool startAttempt();
  void attemptEnded(const ConnectAttempt& attempt, const ConnectResult& result);
  void expireRound();
  void handleTimer();
  void setTimer(TimePoint due) noexcept;
  void schedule() noexcept;
  Duration waitForRound() noexcept;
  bool hasMoreAddresses() const noexcept { return next_ < addresses_.size(); }

  EventLoop* const loop_;
  NameResolver* const resolver_;  // null when the addresses are given
  const HostPort name_;
  const Callbacks callbacks_;
  ConnectOptions options_;
  std::unique_ptr<Backoff> backoff_;
  std::vector<InetAddress> addresses_;
  std::size_t next_ = 0;  // the first of them not yet tried in this round
  std::vector<std::shared_ptr<ConnectAttempt>> attempts_;  // in flight
  TimePoint nextDue_ = kForever;                           // the next address is tried
  TimePoint deadline_ = kForever;                          // the round ends
  // Of the last attempt, while the name server still owes addresses.
  std::optional<ConnectFailure> held_;
  int round_ = 1;  // the one at hand, of those that fail in a row
  State state_ = State::Idle;
  bool hasGivenUp_ = false;  // and onFailed is still to be called
  const RefPtr<LoopCall> tellGivenUp_;
  ResolveId query_ = ResolveId::NoQuery;
  TimerId
      timer_;  // reserved from the first start to stop(): for the round at hand, or the next one
};

}  // namespace gyre
