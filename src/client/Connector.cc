#include "client/Connector.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "base/LogFormat.h"
#include "client/AddressOrder.h"
#include "gyre/base/Check.h"

namespace gyre {

Connector::Connector(EventLoop* loop, ConnectTarget target, Callbacks callbacks)
    : loop_(loop),
      resolver_(target.resolver),
      name_(std::move(target.name)),
      callbacks_(std::move(callbacks)),
      backoff_(std::make_unique<Backoff>(options_.backoff)),
      addresses_(std::move(target.addresses)),
      tellGivenUp_(makeRef<LoopCall>([this] { tellGivenUp(); })) {}

Connector::~Connector() {
  stop();
  tellGivenUp_->disarm();
}

void Connector::setOptions(const ConnectOptions& options) {
  GYRE_CHECK(state_ == State::Idle, "connect options belong before connect");
  backoff_ = std::make_unique<Backoff>(options.backoff);
  options_ = options;
}

void Connector::start() {
  if (state_ == State::Resolving || state_ == State::Connecting) return;
  leaveRound();
  round_ = 1;
  reserveTimer() ? beginRound() : giveUp();
}

void Connector::startLater() {
  leaveRound();
  round_ = 1;
  if (!reserveTimer()) return giveUp();
  waitForRound();
}

// The caller's call may be on the stack.
void Connector::giveUp() noexcept {
  state_ = State::Idle;
  hasGivenUp_ = true;
  loop_->mailbox()->post(*tellGivenUp_);
}

void Connector::tellGivenUp() {
  if (!std::exchange(hasGivenUp_, false)) return;
  const std::error_code error(ENOMEM, std::generic_category());
  callbacks_.onFailed({{}, error, explainConnectError(ENOMEM), round_, {}});
}

void Connector::stop() noexcept {
  leaveRound();
  if (timer_.isValid()) loop_->cancel(std::exchange(timer_, {}));
  state_ = State::Idle;
  round_ = 1;
}

bool Connector::reserveTimer() {
  if (timer_.isValid()) return true;
  try {
    timer_ = loop_->reserveTimer([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->handleTimer();
    });
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Connector::leaveRound() noexcept {
  if (query_ != ResolveId::NoQuery) resolver_->cancel(std::exchange(query_, ResolveId::NoQuery));
  for (const auto& attempt : attempts_) attempt->cancel();
  attempts_.clear();
  held_.reset();
  hasGivenUp_ = false;
  if (timer_.isValid()) loop_->unsetTimer(timer_);
}

// Goes on first: the callback may stop or destroy all this.
void Connector::endRound(ConnectFailure failure) {
  leaveRound();
  state_ = State::Idle;
  const int roundsMax = options_.backoff.attempts;
  if (roundsMax == 0 || round_ < roundsMax) {
    ++round_;
    failure.retryAfter = TimeSpan(waitForRound()).milliseconds();
  } else {
    round_ = 1;
    resetBackoff();
  }
  callbacks_.onFailed(failure);
}

void Connector::beginRound() {
  next_ = 0;
  nextDue_ = deadline_ = kForever;
  if (resolver_ == nullptr) return proceed();
  resolve();
}

// --- The name

void Connector::resolve() {
  state_ = State::Resolving;
  addresses_.clear();
  const auto done = [weak = weak_from_this()](const ResolveResult& result) {
    if (const auto self = weak.lock()) self->nameResolved(result);
  };
  try {
    query_ = resolver_->resolveEach(name_, done);
  } catch (const std::bad_alloc&) {
    logError("resolving a name has to wait: out of memory");
    waitForRound();
  }
}

void Connector::nameResolved(const ResolveResult& result) {
  if (result.isLast) query_ = ResolveId::NoQuery;
  if (result.error) return endRound({{}, result.error, "the name was not resolved", round_, {}});
  try {
    insert(result.addresses);
  } catch (const std::bad_alloc&) {
    if (attempts_.empty()) {
      return endRound({{}, ResolveError::OutOfMemory, explainConnectError(ENOMEM), round_, {}});
    }
    logWarn("some addresses of a name are not tried: out of memory");
  }
  auto held = std::exchange(held_, std::nullopt);
  if (held && !hasMoreAddresses()) return endRound(std::move(*held));
  proceed();
  if (!held) return;
  held->retryAfter = std::chrono::milliseconds::zero();
  callbacks_.onFailed(*held);
}

// Those that come later are of the other family: they take turns with what is left of the first,
// and are the first, since that one has had its chance.
void Connector::insert(const std::vector<InetAddress>& found) {
  const auto untried = addresses_.begin() + static_cast<std::ptrdiff_t>(next_);
  const std::vector<InetAddress> merged = interleave(found, {untried, addresses_.end()});
  addresses_.reserve(next_ + merged.size());
  addresses_.resize(next_);
  addresses_.insert(addresses_.end(), merged.begin(), merged.end());
}

// --- The addresses

void Connector::proceed() {
  const bool isTurn = attempts_.empty() || loop_->now() >= nextDue_;
  if (hasMoreAddresses() && isTurn && !startAttempt()) return;
  schedule();
}

// False without memory: then the round is left, and the next one waited for.
bool Connector::startAttempt() {
  const TimePoint now = loop_->now();
  if (next_ == 0) deadline_ = addSaturated(now, options_.timeout.limit());
  nextDue_ = addSaturated(now, options_.attemptDelay.limit());
  state_ = State::Connecting;
  const auto done = [weak = weak_from_this()](const ConnectAttempt& attempt,
                                              const ConnectResult& result) {
    if (const auto self = weak.lock()) self->attemptEnded(attempt, result);
  };
  try {
    attempts_.reserve(attempts_.size() + 1);
    attempts_.push_back(ConnectAttempt::start(loop_, addresses_[next_++], options_, done));
    return true;
  } catch (const std::bad_alloc&) {
    logError("a connect has to wait: out of memory");
    leaveRound();
    waitForRound();
    return false;
  }
}

// Goes on first: the callback may stop or destroy all this.
void Connector::attemptEnded(const ConnectAttempt& attempt, const ConnectResult& result) {
  std::erase_if(attempts_, [&attempt](const auto& one) { return one.get() == &attempt; });
  if (result.error == 0) {
    leaveRound();
    state_ = State::Idle;
    round_ = 1;
    return callbacks_.onConnected(result.socket);
  }
  const std::error_code error(result.error, std::generic_category());
  ConnectFailure failure{attempt.to(), error, result.reason, round_, {}};
  if (result.error == ECANCELED) {  // the loop ends
    stop();
  } else if (hasMoreAddresses() || !attempts_.empty()) {
    failure.retryAfter = std::chrono::milliseconds::zero();
    nextDue_ = loop_->now();
    proceed();
  } else if (query_ != ResolveId::NoQuery) {
    state_ = State::Resolving;
    held_ = failure;
    return schedule();
  } else {
    return endRound(failure);
  }
  callbacks_.onFailed(failure);
}

// Each attempt says for itself that it was too late, unless it has succeeded by then.
void Connector::expireRound() {
  if (query_ != ResolveId::NoQuery) resolver_->cancel(std::exchange(query_, ResolveId::NoQuery));
  addresses_.resize(next_);
  deadline_ = kForever;
  for (const auto& attempt : attempts_) attempt->expire();
  if (held_) endRound(ConnectFailure(*held_));
}

// --- The timer

void Connector::handleTimer() {
  if (state_ == State::Waiting) return beginRound();
  if (loop_->now() >= deadline_) return expireRound();
  proceed();
}

void Connector::schedule() noexcept {
  setTimer(hasMoreAddresses() ? std::min(nextDue_, deadline_) : deadline_);
}

void Connector::setTimer(TimePoint due) noexcept {
  if (due == kForever) return loop_->unsetTimer(timer_);
  loop_->setTimer(timer_, due - loop_->now());
}

Duration Connector::waitForRound() noexcept {
  const Duration delay = backoff_->next(loop_->proactor().random());
  state_ = State::Waiting;
  setTimer(addSaturated(loop_->now(), delay));
  return delay;
}

}  // namespace gyre
