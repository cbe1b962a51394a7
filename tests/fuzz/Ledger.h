// Ledger: one connection as its server sees it: what came, what was sent, which callbacks ran.
//
// Thread  The connection's loop; queued() and the requests also the outside thread, one of the two.
//         The rest is read when everything has ended.
// Owns    The bytes that were sent. Its handle outlives the loop.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/PeerDirectory.h"
#include "fuzz/Scenario.h"
#include "fuzz/Verdict.h"
#include "gyre/connection/TcpConnection.h"

namespace gyre {

class Ledger {
 public:
  // `peer` is null when nobody knows whose connection it is.
  Ledger(const TcpConnectionPtr& connection, PeerFacts* peer, std::uint64_t seed, Verdict& verdict);

  const TcpConnectionPtr& connection() const noexcept { return connection_; }
  const PeerFacts* peer() const noexcept { return peer_; }
  const Conduct& conduct() const noexcept { return conduct_; }
  SimRandom& random() noexcept { return random_; }

  // --- Callbacks, each as it begins
  void up();
  void message();
  void writeComplete();
  void highWater();
  void halfClose();
  void down();
  void closed();

  // --- What the server does
  void retrieved(std::string_view bytes);
  // After a message callback: what it has left in the buffer.
  void left(std::size_t bytes) noexcept { left_ = bytes; }
  // True when send() has to take these bytes, which are noted then.
  bool queued(std::shared_ptr<const std::string> bytes);
  void willEnd();    // shutdown(), shutdownWrite(): later sends are ignored
  void willAbort();  // on the loop: nothing but down and close may follow
  void willPause() noexcept { isPaused_ = true; }
  void willRead() noexcept { isPaused_ = false; }
  bool mayDoEvent() noexcept;
  // Bytes of large answers that may still be sent.
  bool mayAnswerLarge() noexcept;

  // --- Afterwards
  std::uint64_t received() const noexcept { return received_; }
  std::uint64_t sentBytes() const noexcept { return sentBytes_; }
  bool isClosed() const noexcept { return closes_ > 0; }
  CloseReason reason() const noexcept { return reason_; }
  int error() const noexcept { return error_; }
  // Judges what the peer got: `hasFin` when it saw the end of the stream in good order.
  void judgeSent(std::string_view got, bool hasFin);
  void judgeEnd();
  std::string describe() const;

 private:
  void expectAlive(const char* what);
  void fail(const std::string& what);
  bool endsAtChunk(std::size_t bytes) const;

  const TcpConnectionPtr connection_;
  PeerFacts* const peer_;
  const Conduct conduct_;
  SimRandom random_;
  Verdict& verdict_;

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const std::string>> sent_;
  std::uint64_t sentBytes_ = 0;
  bool isEnding_ = false;

  std::uint64_t received_ = 0;
  std::size_t left_ = 0;
  std::size_t largeBytes_ = 0;
  int ups_ = 0;
  int downs_ = 0;
  int closes_ = 0;
  int halfCloses_ = 0;
  bool isAborting_ = false;
  bool isPaused_ = false;
  bool hadEvent_ = false;
  CloseReason reason_ = CloseReason::None;
  int error_ = 0;
};

}  // namespace gyre
