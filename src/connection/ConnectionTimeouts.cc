// The timeouts of a connection: when the next one is due, and what it does.
#include <algorithm>
#include <cerrno>
#include <new>
#include <optional>
#include <utility>

#include "connection/ConnectionGroup.h"
#include "connection/OutputQueue.h"
#include "gyre/base/Check.h"
#include "gyre/connection/TcpConnection.h"

namespace gyre {
namespace {

// A stamp must be looked at before it repeats.
constexpr Duration kLookMax = CoarseTime::kLongest / 2;

}  // namespace

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

void TcpConnection::setDeadline(TimePoint when) {
  if (state() >= State::Joining) return;
  assertInLoopThread();
  if (timeoutEntry_ == kNoTimeout) timeoutEntry_ = addTimeoutEntry(when) & kNoTimeout;
  loop()->setTimeoutDeadline(timeoutEntry_, when);
}

void TcpConnection::setDeadline(TimeSpan fromNow) {
  if (state() < State::Joining) setDeadline(addSaturated(loop()->now(), fromNow));
}

void TcpConnection::clearDeadline() noexcept {
  if (timeoutEntry_ != kNoTimeout) loop()->setTimeoutDeadline(timeoutEntry_, kForever);
}

// --- How long ago

Duration TcpConnection::sinceReceived(TimePoint now) const noexcept {
  const Duration age = received_.age(now);
  const bool isLong =
      age >= CoarseTime::kLongest && extras_ != nullptr && extras_->receivedLongAgo != TimePoint{};
  return isLong ? now - extras_->receivedLongAgo : age;
}

Duration TcpConnection::sinceSent(TimePoint now) const noexcept {
  const Duration age = sent_.age(now);
  const bool isLong =
      age >= CoarseTime::kLongest && extras_ != nullptr && extras_->sentLongAgo != TimePoint{};
  return isLong ? now - extras_->sentLongAgo : age;
}

// In either direction.
Duration TcpConnection::sinceTraffic(TimePoint now) const noexcept {
  const Duration age = std::min(received_.age(now), sent_.age(now));
  if (age < CoarseTime::kLongest || extras_ == nullptr) return age;
  return std::min(sinceReceived(now), sinceSent(now));
}

// A stamp that falls back by 13 days is dragged along, so that it never repeats; since when it has
// not been written is kept beside it. Writing it makes it young, and that is what counts then.
void TcpConnection::keepUp(CoarseTime& stamp, TimePoint Extras::*longAgo, TimePoint now) noexcept {
  if (!stamp.isLagging(now)) {
    if (extras_ != nullptr) (*extras_).*longAgo = {};
    return;
  }
  const Duration age = stamp.age(now);
  stamp = CoarseTime(now - CoarseTime::kLongest);
  try {
    TimePoint& since = extras().*longAgo;
    if (since == TimePoint{}) since = now - std::max(age, CoarseTime::kLongest);
  } catch (const std::bad_alloc&) {
    // It counts from 13 days ago until there is memory.
  }
}

// After a pause the peer has its time anew. Costs memory where it was silent before, and only then.
void TcpConnection::noteReading() noexcept {
  const TimePoint now = proactor().wokenAt();
  if (received_.age(now) == Duration::zero()) return;
  if (timeouts().readIdle.limit() == kNever) return;
  guarded([&] { extras().readingSince = now; });
}

Duration TcpConnection::stall(TimePoint now) const noexcept {
  if (!hasOutput()) return Duration::zero();
  return std::max(now - output_->progressedAt(), Duration::zero());
}

// Of the peer, as far as we have listened.
Duration TcpConnection::silence(TimePoint now) const noexcept {
  if (!wantsInput()) return Duration::zero();
  const Duration silent = sinceReceived(now);
  if (extras_ == nullptr || extras_->readingSince == TimePoint{}) return silent;
  return std::min(silent, std::max(now - extras_->readingSince, Duration::zero()));
}

// --- What is due

// Of a server that drains, unless the user ends his connections himself. REQUIRES: connected.
inline bool TcpConnection::endsWhenIdle() const noexcept {
  return profile_->group->isDraining() && !profile_->onDrain;
}

// A stall that has not begun is looked for one stall time ahead: so it is seen when it is due, and
// nothing has to be moved when output begins. The same holds for idleness.
TcpConnection::Timeout TcpConnection::nextTimeout(TimePoint now) const noexcept {
  Timeout next{kForever, CloseReason::NotClosed};
  const auto consider = [&](TimeSpan limit, CloseReason reason, auto age) {
    if (limit.limit() == kNever) return;
    const TimePoint due = now + std::min(limit.limit() - age(), kLookMax);
    if (due < next.due) next = {due, reason};
  };
  const ConnectionTimeouts& limits = timeouts();
  const State phase = state();
  if (phase < State::Lingering) {
    consider(limits.writeStall, CloseReason::WriteStall, [&] { return stall(now); });
    consider(limits.idle, CloseReason::IdleTimeout, [&] { return sinceTraffic(now); });
  } else if (phase == State::Lingering) {
    consider(limits.close, CloseReason::LingerTimeout, [&] { return sinceSent(now); });
  }
  if (phase == State::Connected) {
    if (endsWhenIdle()) {
      consider(limits.drainIdle, CloseReason::Drained,
               [&] { return isAmidRequest() ? Duration::zero() : sinceTraffic(now); });
    }
    if (bytesReceived_ == 0) {
      consider(limits.firstByte, CloseReason::FirstByteTimeout, [&] { return sinceReceived(now); });
    }
    if (!has(kEndOfInput)) {
      consider(limits.readIdle, CloseReason::ReadIdleTimeout, [&] { return silence(now); });
    }
  }
  if (timeoutEntry_ != kNoTimeout) {
    const TimePoint deadline = loop()->timeoutDeadline(timeoutEntry_);
    if (deadline < next.due) next = {deadline, CloseReason::Deadline};
  }
  // No timeout: to look whether its share of the memory budget has grown.
  if (has(kOverBudget)) {
    const TimePoint look = now + loop()->timeoutTick();
    if (look < next.due) next = {look, CloseReason::NotClosed};
  }
  return next;
}

TimePoint TcpConnection::checkTimeouts(TimePoint now) noexcept {
  if (state() >= State::Joining || has(kAbortWanted)) return kForever;
  if (extras_ != nullptr || received_.isLagging(now) || sent_.isLagging(now)) {
    keepUp(received_, &Extras::receivedLongAgo, now);
    keepUp(sent_, &Extras::sentLongAgo, now);
    if (extras_ != nullptr && now - extras_->readingSince > received_.age(now)) {
      extras_->readingSince = {};
    }
  }
  if (has(kOverBudget)) {
    relaxBudget();
    if (isStarved(now)) shed();
    if (has(kAbortWanted)) return kForever;
  }
  const Timeout timeout = nextTimeout(now);
  if (timeout.due > now) return timeout.due;
  expire(timeout.reason);
  if (has(kAbortWanted)) return kForever;
  clearDeadline();
  received_ = sent_ = CoarseTime(now);
  return nextTimeout(now).due;
}

// Gracefully where nothing is owed to the peer; what it does not take would never end.
void TcpConnection::expire(CloseReason reason) noexcept {
  if (reason == CloseReason::Drained) return beginGraceful(reason);
  loop()->proactor().mutableCounters().timeouts.add();
  const bool isQuiet = reason != CloseReason::WriteStall && reason != CloseReason::LingerTimeout;
  if (isQuiet && state() == State::Connected && !hasOutput()) return beginGraceful(reason);
  requestAbort(reason, ETIMEDOUT);
}

void TcpConnection::scheduleTimeouts() {
  if (state() >= State::Joining) return;
  const TimePoint now = loop()->now();
  const TimePoint due = nextTimeout(now).due;
  if (timeoutEntry_ != kNoTimeout) return loop()->moveTimeout(timeoutEntry_, due);
  if (due == kForever) return;
  // Nobody has looked at them before.
  for (CoarseTime* stamp : {&received_, &sent_}) {
    if (stamp->isLagging(now)) *stamp = CoarseTime(now - CoarseTime::kLongest);
  }
  timeoutEntry_ = addTimeoutEntry(nextTimeout(now).due) & kNoTimeout;
}

std::uint32_t TcpConnection::addTimeoutEntry(TimePoint due) {
  const std::uint32_t entry = loop()->addTimeout(*this, due);
  GYRE_CHECK(entry < kNoTimeout, "a loop has places for 16 million connections with timeouts");
  return entry;
}

void TcpConnection::unscheduleTimeouts() noexcept {
  if (timeoutEntry_ != kNoTimeout) loop()->removeTimeout(timeoutEntry_);
  timeoutEntry_ = kNoTimeout;
}

}  // namespace gyre
