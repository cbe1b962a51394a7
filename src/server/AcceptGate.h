// AcceptGate: lets accepted sockets in, and owns the obligation to serve those that must wait.
//
// Capacity is missing at ServerLimits::connectionsMax, and while too many sockets are on their way
// to the loops of other threads. Then the acceptors pause, and what they had accepted waits here.
// At the end of each turn (a batch of sockets, or a notification) the invariant is CHECKed: while a
// socket waits or the acceptors are paused, a capacity notification is requested. The group grants
// a request only while there is a connection, or a socket on its way, whose end will report.
//
// Thread  The base loop's.
// Owns    The sockets that wait.
// Ends    close() closes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gyre/loop/EventLoop.h"
#include "server/Admission.h"

namespace gyre {

// A socket that was accepted, on its way to its loop.
struct Arrival {
  SocketHandle socket;
  std::uint64_t id;
  const InetAddress* local;  // as TcpConnection::Init
};

class AcceptGate {
 public:
  struct Hooks {
    std::function<void(const Arrival&)> place;  // a place is reserved for it
    std::function<void()> handOver;             // those placed, to their loops
    std::function<void()> pause;                // the acceptors
    std::function<void()> resume;
    std::string server = {};  // its name, for the log
  };

  AcceptGate(EventLoop* loop, Admission& admission, Hooks hooks);
  AcceptGate(const AcceptGate&) = delete;
  AcceptGate& operator=(const AcceptGate&) = delete;
  ~AcceptGate() = default;

  // A socket that Admission has let pass. endTurn() follows in the same iteration.
  void offer(const Arrival& arrival) noexcept;
  // Hands over what was placed, lets in who waits, and sees to it that somebody reports capacity
  // where more are to come in.
  void endTurn() noexcept;
  // The notification that was requested.
  void handleCapacity() noexcept;
  // Nothing is accepted any more: closes those that wait.
  void close() noexcept;

  std::size_t waitingCount() const noexcept { return waiting_.size() - first_; }

 private:
  enum class Verdict : std::uint8_t { Enter, Wait, Refuse };

  Verdict judge() noexcept;
  void refuse(const Arrival& arrival) noexcept;
  void queue(const Arrival& arrival) noexcept;
  void admitWaiting() noexcept;
  void pause() noexcept;
  // Not by waiting_.size(), which is a division.
  bool hasWaiting() const noexcept {
    return waiting_.data() + first_ != std::to_address(waiting_.end());
  }
  // True when a notification will come; false when there is capacity already.
  bool requestNotification() noexcept;

  EventLoop* const loop_;
  Admission& admission_;
  const Hooks hooks_;
  // First come, first served: those before first_ have left.
  std::vector<Arrival> waiting_;
  std::size_t first_ = 0;
  bool isPaused_ = false;
  bool isRequested_ = false;  // true exactly while handleCapacity() is still to come
};

}  // namespace gyre
