// Peer: the other side of a connection: a plain socket that does what the test's script says.
//
// What would block, waits: for the loop, when the peer shares a thread with it (`pump` runs the
// loop once), else in poll(2): on a thread of its own, or against a server in another process.
// After kPatience without any progress it gives up and fails the test.
//
// Thread  One at a time.
// Owns    The socket.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gyre/base/InetAddress.h"
#include "gyre/base/UniqueFd.h"

namespace gyre {

class Peer {
 public:
  using Pump = std::function<void()>;

  // Connects; fails the test when refused. `receiveBuffer`: SO_RCVBUF, the kernel's choice for 0.
  explicit Peer(const InetAddress& server, Pump pump = {}, int receiveBuffer = 0);
  // What runs from now on while it waits.
  void setPump(Pump pump) { pump_ = std::move(pump); }

  // All bytes. False when the connection broke first.
  bool send(std::string_view bytes);
  // Exactly `size` bytes; fewer when the stream ended or broke first.
  std::string receive(std::size_t size);
  // All bytes until the end of the stream or its break.
  std::string receiveToEnd();
  // Sends what the other side takes while it does not read, at most `bytes`; how many that were.
  std::size_t sendUntilStalled(std::string_view bytes);

  // What can be done at once, possibly nothing.
  std::size_t sendSome(std::string_view bytes);
  std::size_t receiveSome(std::span<char> into);

  // Sends a byte of urgent data.
  void sendUrgent(char byte);
  // Ends its own sending.
  void halfClose();
  void close() { fd_.reset(); }
  // RST instead of FIN.
  void reset();

  // True once the end of the stream was met, after all bytes.
  bool hasEnded() const noexcept { return hasEnded_; }
  // The errno value the connection broke with, as far as sending or receiving has met it; else 0.
  int error() const noexcept { return error_; }
  InetAddress address() const;

 private:
  bool isOver() const noexcept { return hasEnded_ || error_ != 0; }
  void waitFor(short events) const;
  void receiveUpTo(std::size_t size, std::string& into);

  UniqueFd fd_;
  Pump pump_;
  bool hasEnded_ = false;
  int error_ = 0;
};

// A peer that says something and expects the same back, a piece at a time.
class EchoDialogue {
 public:
  // REQUIRES: the text lives as long as this.
  EchoDialogue(Peer& peer, std::string_view text) : peer_(&peer), text_(text) {}

  // Sends and receives what can be at once, at most `receiveLimit` bytes of the latter. False when
  // the dialogue is over.
  bool step(std::size_t receiveLimit = 64 * 1024);
  // True when all came back, and unchanged.
  bool isComplete() const noexcept { return isIntact_ && received_ == text_.size(); }
  std::size_t received() const noexcept { return received_; }

 private:
  Peer* peer_;
  std::string_view text_;
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
  bool isIntact_ = true;
};

// Steps all dialogues until they are over; how many are complete.
std::size_t holdDialogues(std::span<EchoDialogue> dialogues, const Peer::Pump& pump);
// The peers each send `text` and expect it back, all at the same time; how many got it.
std::size_t countEchoed(std::span<Peer> peers, std::string_view text, const Peer::Pump& pump);

}  // namespace gyre
