// SocketPeer: a plain socket that does what its script says, without ever blocking.
//
// Thread  One.
// Owns    Its socket, and the bytes it got.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "fuzz/Judge.h"
#include "fuzz/PeerDirectory.h"
#include "fuzz/Scenario.h"
#include "gyre/base/InetAddress.h"
#include "gyre/base/UniqueFd.h"

namespace gyre {

class SocketPeer {
 public:
  using Clock = std::chrono::steady_clock;
  using End = PeerHistory::End;

  SocketPeer(PeerFacts& facts, PeerDirectory& directory, const InetAddress& server,
             const Scenario& scenario);

  // Does what can be done at once.
  void step();
  // What it waits for, for poll(2).
  int fd() const noexcept { return isBacklogFull_ ? -1 : fd_.get(); }
  short events() const noexcept;
  bool isFinished() const noexcept { return isFinished_; }
  // Stays so until release(): as its script says, or because it does not read what holds it up.
  bool isParked() const noexcept;
  void release();
  Clock::time_point progressedAt() const noexcept { return progressedAt_; }

  // --- Afterwards
  const PeerFacts& facts() const noexcept { return facts_; }
  const std::string& received() const noexcept { return received_; }
  PeerHistory history() const;
  std::string describe() const;

 private:
  void open();
  void connect();
  void finishConnect();
  void read();
  bool doStep(const PeerStep& step);
  bool send(std::size_t total, std::size_t pieceMax);
  void widenWindow();
  void finish(bool resets);
  void breakOff();
  void progress() noexcept { progressedAt_ = Clock::now(); }

  PeerFacts& facts_;
  PeerDirectory& directory_;
  const InetAddress server_;  // as this peer names it
  const bool isFiltered_;
  SimRandom random_;
  UniqueFd fd_;
  InetAddress address_;
  std::string received_;
  std::size_t stepIndex_ = 0;
  std::size_t stepDone_ = 0;  // bytes of it
  Clock::time_point waitUntil_{};
  Clock::time_point progressedAt_ = Clock::now();
  int connectError_ = 0;
  End end_ = End::None;
  bool isConnected_ = false;
  bool isBacklogFull_ = false;  // of a unix listener, of which no event tells
  bool isReading_ = true;
  bool isReleased_ = false;
  bool isWide_ = false;    // its receive window
  bool isFull_ = false;    // the last send found no room
  bool isBroken_ = false;  // sending has failed
  bool wasReset_ = false;  // … for a reset, of which receiving then hears nothing any more
  bool isFinished_ = false;
  bool leftEarly_ = false;
};

}  // namespace gyre
