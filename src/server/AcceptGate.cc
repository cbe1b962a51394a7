#include "server/AcceptGate.h"

#include <new>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/base/Check.h"

namespace gyre {

AcceptGate::AcceptGate(EventLoop* loop, Admission& admission, Hooks hooks)
    : loop_(loop), admission_(admission), hooks_(std::move(hooks)) {}

inline AcceptGate::Verdict AcceptGate::judge() noexcept {
  if (admission_.group().isCrowded()) return Verdict::Wait;
  if (admission_.reserve()) return Verdict::Enter;
  return admission_.waits() ? Verdict::Wait : Verdict::Refuse;
}

void AcceptGate::offer(const Arrival& arrival) noexcept {
  // Those that wait come first.
  switch (hasWaiting() ? Verdict::Wait : judge()) {
    case Verdict::Enter: hooks_.place(arrival); break;
    case Verdict::Wait: queue(arrival); break;
    case Verdict::Refuse: refuse(arrival); break;
  }
  // At once, because an engine that accepts one by one then leaves the others in the backlog.
  if (hasWaiting() || !admission_.hasCapacity()) pause();
}

void AcceptGate::endTurn() noexcept {
  for (;;) {
    admitWaiting();
    hooks_.handOver();
    // A connection that closes on another loop from here on either is seen by the request, or
    // reports. Room that was made by then, also by a hand-over that failed, is used by another
    // round: there are as many as sockets wait, and one more.
    if (!hasWaiting() && admission_.hasCapacity()) {
      if (std::exchange(isPaused_, false)) hooks_.resume();
      break;
    }
    if (requestNotification()) {
      pause();
      break;
    }
  }
  GYRE_CHECK(isRequested_ || !(hasWaiting() || isPaused_),
             "clients wait to be let in, and nobody will report that there is capacity");
}

void AcceptGate::handleCapacity() noexcept {
  GYRE_CHECK(isRequested_, "capacity was reported that nobody had asked for");
  isRequested_ = false;
  endTurn();
}

void AcceptGate::close() noexcept {
  for (; hasWaiting(); ++first_) {
    admission_.group().turnAway(waiting_[first_].id);
    loop_->proactor().close(waiting_[first_].socket);
  }
}

void AcceptGate::admitWaiting() noexcept {
  while (hasWaiting()) {
    const Verdict verdict = judge();
    if (verdict == Verdict::Wait) return;
    const Arrival arrival = waiting_[first_++];
    verdict == Verdict::Enter ? hooks_.place(arrival) : refuse(arrival);
  }
  waiting_.clear();
  first_ = 0;
}

void AcceptGate::refuse(const Arrival& arrival) noexcept {
  admission_.refuseAtMax(arrival.id);
  loop_->proactor().close(arrival.socket);
}

// Without memory for it the one client is closed, and nothing else.
void AcceptGate::queue(const Arrival& arrival) noexcept {
  try {
    // The places of those that have left are used before more memory is.
    if (waiting_.size() == waiting_.capacity() && first_ > waiting_.size() / 2) {
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
    waiting_.push_back(arrival);
  } catch (const std::bad_alloc&) {
    logError("server {}: a new connection was closed: out of memory", hooks_.server);
    admission_.group().turnAway(arrival.id);
    loop_->proactor().close(arrival.socket);
  }
}

void AcceptGate::pause() noexcept {
  if (!std::exchange(isPaused_, true)) hooks_.pause();
}

bool AcceptGate::requestNotification() noexcept {
  if (!isRequested_) isRequested_ = admission_.requestCapacity();
  return isRequested_;
}

}  // namespace gyre
