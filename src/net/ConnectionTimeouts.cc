// The timeouts of a connection: when the next one is due, and what it does.
#include <algorithm>
#include <cerrno>
#include <new>
#include <optional>
#include <utility>

#include "gyre/net/TcpConnection.h"
#include "net/ConnectionGroup.h"
#include "net/OutputQueue.h"

namespace gyre {
const ConnectionTimeouts& TcpConnection::timeouts() const noexcept {
  static_cast<void>(onLoopInDebug());
  return extras_ != nullptr && extras_->timeouts ? *extras_->timeouts : profile_->options.timeouts;
}

void TcpConnection::setTimeouts(const ConnectionTimeouts& timeouts) {
  assertInLoopThread();
  if (state() >= State::Joining) return;
  std::optional<ConnectionTimeouts>& own = extras().timeouts;
  const auto before = std::exchange(own, timeouts);
  try {
    scheduleTimeouts();
  } catch (const std::bad_alloc&) {
    own = before;
    throw;
  }
}

// A stall that has not begun is looked for one stall time ahead: so it is seen when it is due, and
// nothing has to be moved when output begins. The same holds for idleness.
TcpConnection::Timeout TcpConnection::nextTimeout(TimePoint now) const noexcept {
  Timeout next{kForever, CloseReason::NotClosed};
  const auto consider = [&](TimeSpan limit, Duration age, CloseReason reason) {
    const TimePoint due = addSaturated(now - age, limit.limit());
    if (due < next.due) next = {due, reason};
  };
  const ConnectionTimeouts& limits = timeouts();
  if (state() == State::Lingering && extras_ != nullptr) {
    consider(limits.close, extras_->finSentAt.age(now), CloseReason::LingerTimeout);
  } else if (state() < State::Lingering) {
    const Duration stalled = hasOutput() ? output_->progressedAt().age(now) : Duration::zero();
    consider(limits.writeStall, stalled, CloseReason::WriteStall);
    consider(limits.idle, active_.age(now), CloseReason::IdleTimeout);
  }
  if (endsWhenIdle()) {
    const Duration quiet = isAmidRequest() ? Duration::zero() : active_.age(now);
    consider(limits.drainIdle, quiet, CloseReason::Drained);
  }
  if (state() == State::Connected && bytesReceived_ == 0) {
    const bool isTimed = timeoutEntry_ != kNoTimeout;
    const Duration silent =
        isTimed ? loop()->timeoutAddedAt(timeoutEntry_).age(now) : Duration::zero();
    consider(limits.firstByte, silent, CloseReason::FirstByteTimeout);
  }
  // No timeout: to look whether its share of the memory budget has grown.
  if (has(kOverBudget)) {
    const TimePoint look = now + loop()->timeoutTick();
    if (look < next.due) next = {look, CloseReason::NotClosed};
  }
  return next;
}

// Of a server that drains, unless the user ends his connections himself.
bool TcpConnection::endsWhenIdle() const noexcept {
  return state() == State::Connected && profile_->group->isDraining() && !profile_->onDrain;
}

TimePoint TcpConnection::checkTimeouts(TimePoint now) noexcept {
  if (state() >= State::Joining || has(kAbortWanted)) return kForever;
  if (has(kOverBudget)) relaxBudget();
  if (isStarved(now)) shed();
  if (has(kAbortWanted)) return kForever;
  const Timeout timeout = nextTimeout(now);
  if (timeout.due > now) return timeout.due;
  expire(timeout.reason);
  if (has(kAbortWanted)) return kForever;
  active_ = CoarseTime(now);
  return nextTimeout(now).due;
}

// In good order where nothing is owed to the peer; what it does not take would never end.
void TcpConnection::expire(CloseReason reason) {
  if (reason == CloseReason::Drained) return beginGraceful(reason);
  loop()->proactor().mutableCounters().timeouts.add();
  const bool isQuiet =
      reason == CloseReason::IdleTimeout || reason == CloseReason::FirstByteTimeout;
  if (isQuiet && state() == State::Connected && !hasOutput()) return beginGraceful(reason);
  requestAbort(reason, ETIMEDOUT);
}

void TcpConnection::scheduleTimeouts() {
  if (state() >= State::Joining) return;
  const TimePoint due = nextTimeout(loop()->now()).due;
  if (timeoutEntry_ != kNoTimeout) {
    loop()->moveTimeout(timeoutEntry_, due);
  } else if (due != kForever) {
    const std::uint32_t entry = loop()->addTimeout(*this, due);
    GYRE_CHECK(entry < kNoTimeout, "a loop has places for 16 million connections with timeouts");
    timeoutEntry_ = entry & kNoTimeout;
  }
}

void TcpConnection::unscheduleTimeouts() noexcept {
  if (timeoutEntry_ != kNoTimeout) loop()->removeTimeout(timeoutEntry_);
  timeoutEntry_ = kNoTimeout;
}

}  // namespace gyre
