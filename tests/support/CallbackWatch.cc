#include "support/CallbackWatch.h"

#include <gtest/gtest.h>

namespace gyre {
namespace {

thread_local int callbacksRunning = 0;

constexpr std::size_t indexOf(CallbackKind kind) noexcept { return static_cast<std::size_t>(kind); }

}  // namespace

const char* nameOf(CallbackKind kind) noexcept {
  switch (kind) {
    case CallbackKind::Up: return "up";
    case CallbackKind::Message: return "message";
    case CallbackKind::WriteComplete: return "write-complete";
    case CallbackKind::HighWater: return "high-water";
    case CallbackKind::HalfClose: return "half-close";
    case CallbackKind::Down: return "down";
    case CallbackKind::Close: return "close";
  }
  return "unknown";
}

CallbackWatch::Scope::Scope(CallbackWatch& watch, const TcpConnection& connection,
                            CallbackKind kind)
    : watch_(watch), kind_(kind) {
  if (callbacksRunning++ != 0) ADD_FAILURE() << nameOf(kind) << " ran inside another callback";
  watch.note(connection, kind);
}

CallbackWatch::Scope::~Scope() {
  --callbacksRunning;
  const std::lock_guard lock(watch_.mutex_);
  ++watch_.counts_[indexOf(kind_)];
}

void CallbackWatch::note(const TcpConnection& connection, CallbackKind kind) {
  const bool isHome = EventLoop::current() == connection.loop();
  if (kind == CallbackKind::Message && !connection.isReading()) {
    ADD_FAILURE() << "a message came after stopRead()";
  }
  if (kind == CallbackKind::HalfClose && !connection.isReading()) {
    ADD_FAILURE() << "a half-close came while the connection did not read, or was to be aborted";
  }
  const std::lock_guard lock(mutex_);
  Life& life = lives_[connection.id()];
  if (kind == CallbackKind::Up) life.thread = std::this_thread::get_id();
  const bool isUp = life.calls[indexOf(CallbackKind::Up)] != 0;
  const bool isDown = life.calls[indexOf(CallbackKind::Down)] != 0;
  const bool isClosed = life.calls[indexOf(CallbackKind::Close)] != 0;
  const bool isInTurn =
      (kind == CallbackKind::Up) != isUp && !isClosed && (kind == CallbackKind::Close) == isDown;
  ++life.calls[indexOf(kind)];
  if (isHome && isInTurn && life.thread == std::this_thread::get_id()) return;
  ADD_FAILURE() << nameOf(kind) << " of connection " << connection.id()
                << (isInTurn ? " ran on a foreign thread" : " came out of turn")
                << (isUp ? ", after up" : "") << (isDown ? ", after down" : "")
                << (isClosed ? ", after close" : "");
}

std::size_t CallbackWatch::count(CallbackKind kind) const {
  const std::lock_guard lock(mutex_);
  return counts_[indexOf(kind)];
}

std::size_t CallbackWatch::openCount() const {
  const std::lock_guard lock(mutex_);
  return counts_[indexOf(CallbackKind::Up)] - counts_[indexOf(CallbackKind::Close)];
}

void CallbackWatch::expectAllClosed() const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, life] : lives_) {
    EXPECT_EQ(life.calls[indexOf(CallbackKind::Up)], 1) << "of connection " << id;
    EXPECT_EQ(life.calls[indexOf(CallbackKind::Down)], 1) << "of connection " << id;
    EXPECT_EQ(life.calls[indexOf(CallbackKind::Close)], 1) << "of connection " << id;
  }
}

}  // namespace gyre
