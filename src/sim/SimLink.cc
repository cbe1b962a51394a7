#include "sim/SimLink.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace gyre {
namespace {

constexpr std::size_t kSegmentMax = 16 * 1024;

}  // namespace

SimLink::SimLink(SimWorld& world, std::int32_t number) : world_(world), number_(number) {
  for (Stream& stream : streams_) {
    stream.window = world.options().receiveBuffer;
    stream.sendBuffer = world.options().sendBuffer;
  }
}

void SimLink::setSendBuffer(SimSide side, std::size_t bytes) noexcept {
  toward(peerOf(side)).sendBuffer = bytes;
}

void SimLink::setReceiveBuffer(SimSide side, std::size_t bytes) {
  toward(side).window = bytes;
  pump(side);
}

// --- By the network

void SimLink::establish() {
  at(SimSide::Acceptor).connected = true;
  ++world_.statistics().connections;
  later(world_.latency(), [this] {
    at(SimSide::Connector).connected = true;
    pump(SimSide::Connector);
    tell(SimSide::Connector);
  });
}

void SimLink::failConnect(int error) {
  connectError_ = error;
  stop();
  tell(SimSide::Connector);
}

void SimLink::cut(int error) {
  stop();
  handleReset(SimSide::Connector, error);
  handleReset(SimSide::Acceptor, error);
}

void SimLink::vanish(Duration delay) {
  stop();
  world_.after(delay, [self = shared_from_this()] { self->cut(ETIMEDOUT); });
}

// --- By an end

bool SimLink::isReadShut(SimSide side) const noexcept {
  return at(side).readShut || at(side).reset || toward(side).finArrived;
}

bool SimLink::isAtEnd(SimSide side) const noexcept {
  return readable(side) == 0 && isReadShut(side);
}

int SimLink::takeError(SimSide side) noexcept { return std::exchange(at(side).error, 0); }

int SimLink::takeWriteError(SimSide side) noexcept {
  if (hasError(side)) return takeError(side);
  if (at(side).reset || at(side).writeShut) return EPIPE;
  return at(side).connected ? 0 : ENOTCONN;
}

std::size_t SimLink::room(SimSide side) const noexcept {
  const Stream& stream = toward(peerOf(side));
  const std::size_t used = stream.bytes.size() - stream.arrived;
  return used < stream.sendBuffer ? stream.sendBuffer - used : 0;
}

void SimLink::read(SimSide side, std::span<char> into) {
  Stream& stream = toward(side);
  GYRE_CHECK(into.size() <= stream.arrived, "read: into.size() <= readable(side)");
  stream.bytes.take(into.data(), into.size());
  stream.arrived -= into.size();
  world_.statistics().bytesRead += into.size();
  pump(side);
}

void SimLink::write(SimSide side, std::string_view bytes) {
  GYRE_CHECK(bytes.size() <= room(side), "write: bytes.size() <= room(side)");
  toward(peerOf(side)).bytes.append(bytes);
  pump(peerOf(side));
}

void SimLink::shutdownWrite(SimSide side) {
  at(side).writeShut = true;
  pump(peerOf(side));
}

// Both histories are the kernel's: a reset at once, or a FIN and a reset when more data comes.
void SimLink::shutdownBoth(SimSide side) {
  const bool resets = toward(side).bytes.size() > 0 || world_.random().chance(0.5);
  at(side).readShut = true;
  if (!at(side).writeShut) shutdownWrite(side);
  if (resets) sendReset(side);
}

void SimLink::close(SimSide side) {
  End& end = at(side);
  end.watcher = nullptr;
  end.closed = true;
  if (end.reset) return;
  // Closed while the answer to its SYN is on its way: the answer is answered with RST.
  if (!end.connected) return at(peerOf(side)).connected ? sendReset(side) : stop();
  const bool unread = readable(side) > 0;
  if (unread) world_.count(SimFault::ClosedUnread);
  if (unread || end.lingerZero) return sendReset(side);
  if (!end.writeShut) shutdownWrite(side);
}

// --- Segments

template <typename Action>
void SimLink::later(Duration delay, Action action) {
  world_.after(delay, [self = shared_from_this(), action] {
    if (!self->stopped_) action();
  });
}

void SimLink::stop() noexcept { stopped_ = true; }

void SimLink::tell(SimSide side) {
  if (at(side).watcher != nullptr) at(side).watcher->linkChanged();
}

// Sends the next segment, or FIN after the last one.
void SimLink::pump(SimSide to) {
  Stream& stream = toward(to);
  if (stopped_ || stream.segmentTravels || !at(to).connected) return;
  const std::size_t waiting = stream.bytes.size() - stream.arrived;
  const std::size_t window = stream.window > stream.arrived ? stream.window - stream.arrived : 0;
  if (waiting > 0 && window > 0) {
    std::size_t size = std::min({waiting, window, kSegmentMax});
    if (size > 1 && world_.strikes(SimFault::SegmentSplit)) {
      size = world_.random().chance(0.5) ? 1 : world_.random().between(1, size - 1);
    }
    stream.segmentTravels = true;
    later(world_.latency(), [this, to, size] { handleSegment(to, size); });
  } else if (waiting == 0 && at(peerOf(to)).writeShut && !stream.finArrived) {
    stream.segmentTravels = true;
    later(world_.latency(), [this, to] { handleFin(to); });
  }
}

void SimLink::handleSegment(SimSide to, std::size_t size) {
  Stream& stream = toward(to);
  stream.segmentTravels = false;
  if (at(to).closed || at(to).readShut) {
    world_.count(SimFault::ClosedUnread);
    return sendReset(to);
  }
  stream.arrived += size;
  if (world_.strikes(SimFault::ResetReceiving)) return cut(ECONNRESET);
  pump(to);
  tell(to);
  tell(peerOf(to));
}

void SimLink::handleFin(SimSide to) {
  toward(to).segmentTravels = false;
  toward(to).finArrived = true;
  tell(to);
}

void SimLink::handleReset(SimSide to, int error) {
  End& end = at(to);
  if (end.reset || end.closed) return;
  end.reset = true;
  end.error = error;
  Stream& stream = toward(to);
  const bool loses = end.losesUnread || world_.random().chance(0.5);
  if (loses) stream.arrived = 0;
  stream.bytes.truncate(stream.arrived);
  toward(peerOf(to)).bytes.truncate(toward(peerOf(to)).arrived);
  tell(to);
}

// RST: nothing that this end has sent arrives any more, what it has not read is gone.
void SimLink::sendReset(SimSide from) {
  if (stopped_) return;
  stop();
  at(from).readShut = at(from).writeShut = true;
  toward(from).arrived = 0;
  toward(from).bytes.truncate(0);
  world_.after(world_.latency(), [self = shared_from_this(), to = peerOf(from)] {
    self->handleReset(to, ECONNRESET);
  });
}

}  // namespace gyre
