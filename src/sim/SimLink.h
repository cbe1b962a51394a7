// SimLink: one simulated TCP connection: two streams of bytes with their windows, FIN and RST.
//
// Bytes leave the sender's send buffer in segments, one on its way at a time, and wait in the
// receiver's window until they are read: unread bytes hold the sender back. FIN comes after the
// bytes. A reset destroys what is on its way, and what a scripted client has not read; an engine's
// end keeps what has arrived or loses it, as the seed says.
//
// Thread  The one that steps the network.
// Owns    The bytes of both directions.
// Ends    With the last of its two ends and its events.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "gyre/base/InetAddress.h"
#include "sim/SimBytes.h"
#include "sim/SimWorld.h"

namespace gyre {

enum class SimSide : std::uint8_t { Connector, Acceptor };

constexpr SimSide peerOf(SimSide side) noexcept {
  return side == SimSide::Connector ? SimSide::Acceptor : SimSide::Connector;
}

// Who is told when something changed at an end: connected, bytes, room, the end, a reset. Told from
// events only, never inside a call of the link.
class SimWatcher {
 public:
  virtual void linkChanged() = 0;

 protected:
  ~SimWatcher() = default;
};

class SimLink : public std::enable_shared_from_this<SimLink> {
 public:
  SimLink(SimWorld& world, std::int32_t number);

  std::int32_t number() const noexcept { return number_; }
  void setWatcher(SimSide side, SimWatcher* watcher) noexcept { at(side).watcher = watcher; }
  // That end forgets what has arrived when a reset comes.
  void setLosesUnread(SimSide side) noexcept { at(side).losesUnread = true; }
  void setLingerZero(SimSide side) noexcept { at(side).lingerZero = true; }
  void setSendBuffer(SimSide side, std::size_t bytes) noexcept;
  void setReceiveBuffer(SimSide side, std::size_t bytes);
  void setAddress(SimSide side, const InetAddress& address) { at(side).address = address; }
  const InetAddress& address(SimSide side) const noexcept { return at(side).address; }

  // --- By the network

  // The listener has taken it; the connector hears of it one latency later.
  void establish();
  void failConnect(int error);
  // Both ends lose the connection.
  void cut(int error);
  // Nothing passes any more; after the delay both ends are told ETIMEDOUT.
  void vanish(Duration delay);

  // --- By an end

  bool isConnected(SimSide side) const noexcept { return at(side).connected; }
  int connectError() const noexcept { return connectError_; }
  bool isClosed(SimSide side) const noexcept { return at(side).closed; }
  bool isReset(SimSide side) const noexcept { return at(side).reset; }
  // Nothing is on its way, nothing unread.
  bool isIdle() const noexcept { return streams_[0].bytes.size() + streams_[1].bytes.size() == 0; }

  std::size_t readable(SimSide side) const noexcept { return toward(side).arrived; }
  // Everything has been read and no more will come.
  bool isAtEnd(SimSide side) const noexcept;
  // The peer's FIN has arrived, or reading was shut down.
  bool isReadShut(SimSide side) const noexcept;
  bool isWriteShut(SimSide side) const noexcept { return at(side).writeShut; }
  // ECONNRESET or ETIMEDOUT once, then 0, as the kernel's pending socket error.
  int takeError(SimSide side) noexcept;
  bool hasError(SimSide side) const noexcept { return at(side).error != 0; }
  // Why nothing can be written, or 0. Takes a pending error.
  int takeWriteError(SimSide side) noexcept;
  // Bytes that the send buffer takes now.
  std::size_t room(SimSide side) const noexcept;

  // REQUIRES: into.size() <= readable(side).
  void read(SimSide side, std::span<char> into);
  // REQUIRES: bytes.size() <= room(side).
  void write(SimSide side, std::string_view bytes);
  void shutdownWrite(SimSide side);
  void shutdownBoth(SimSide side);
  // FIN, or RST when something is unread or SO_LINGER 0 was set.
  void close(SimSide side);

 private:
  struct End {
    SimWatcher* watcher = nullptr;
    InetAddress address;
    int error = 0;
    bool connected = false;
    bool reset = false;
    bool closed = false;
    bool readShut = false;
    bool writeShut = false;
    bool losesUnread = false;
    bool lingerZero = false;
  };
  // The bytes toward one end.
  struct Stream {
    SimBytes bytes;
    std::size_t arrived = 0;  // of bytes, from the front
    std::size_t window = 0;
    std::size_t sendBuffer = 0;
    bool segmentTravels = false;
    bool finArrived = false;
  };

  End& at(SimSide side) noexcept { return ends_[static_cast<std::size_t>(side)]; }
  const End& at(SimSide side) const noexcept { return ends_[static_cast<std::size_t>(side)]; }
  Stream& toward(SimSide side) noexcept { return streams_[static_cast<std::size_t>(side)]; }
  const Stream& toward(SimSide side) const noexcept {
    return streams_[static_cast<std::size_t>(side)];
  }

  // An event that is void when the connection has been reset or has vanished by then.
  template <typename Action>
  void later(Duration delay, Action action);
  void pump(SimSide to);
  void handleSegment(SimSide to, std::size_t size);
  void handleFin(SimSide to);
  void handleReset(SimSide to, int error);
  void sendReset(SimSide from);
  // No segment that is on its way arrives any more.
  void stop() noexcept;
  void tell(SimSide side);

  SimWorld& world_;
  const std::int32_t number_;
  std::array<End, 2> ends_;
  std::array<Stream, 2> streams_;
  int connectError_ = 0;
  bool stopped_ = false;
};

}  // namespace gyre
