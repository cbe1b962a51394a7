// Crowd: the peers of a run on one thread: starts them, polls, steps, finds those that wait for
// ever.
//
// Thread  One.
// Owns    The peers, also those that have finished.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "fuzz/PeerDirectory.h"
#include "fuzz/Scenario.h"
#include "fuzz/SocketPeer.h"

namespace gyre {

class Crowd {
 public:
  using Clock = SocketPeer::Clock;

  Crowd(const Scenario& scenario, PeerDirectory& directory, const InetAddress& server)
      : scenario_(scenario), directory_(directory), server_(server) {}

  // One more, beside those of the scenario. REQUIRES: the plan outlives the crowd.
  SocketPeer& add(const PeerPlan& plan);
  // Starts those whose turn it is, waits until one can go on, at most so long, and steps all.
  void pump(std::chrono::milliseconds wait);

  // All have come and gone.
  bool isDone() const noexcept { return active_.empty() && next_ == scenario_.peers.size(); }
  std::size_t parked() const;
  std::size_t active() const noexcept { return active_.size(); }
  // Nothing has moved for so long, but for those that are parked.
  bool isStillFor(Clock::duration time) const;
  void release();
  const std::vector<std::unique_ptr<SocketPeer>>& peers() const noexcept { return peers_; }
  // One of those that have not finished, the first of them.
  const SocketPeer* firstWaiting() const;

 private:
  void startMore();

  const Scenario& scenario_;
  PeerDirectory& directory_;
  const InetAddress server_;
  std::vector<std::unique_ptr<SocketPeer>> peers_;
  std::vector<SocketPeer*> active_;
  std::vector<pollfd> polled_;
  std::size_t next_ = 0;
  bool isReleased_ = false;
};

}  // namespace gyre
