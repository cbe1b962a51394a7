#include "net/Connector.h"

#include <cerrno>
#include <new>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/base/Check.h"

namespace gyre {

Connector::Connector(EventLoop* loop, ConnectTarget target, Callbacks callbacks)
    : loop_(loop),
      resolver_(target.resolver),
      name_(std::move(target.name)),
      callbacks_(std::move(callbacks)),
      backoff_(std::make_unique<Backoff>(options_.backoff)),
      addresses_(std::move(target.addresses)) {}

Connector::~Connector() { stop(); }

void Connector::setOptions(const ConnectOptions& options) {
  GYRE_CHECK(state_ == State::Idle, "connect options belong before connect");
  backoff_ = std::make_unique<Backoff>(options.backoff);
  options_ = options;
}

void Connector::start() {
  if (state_ == State::Resolving || state_ == State::Connecting) return;
  stop();
  beginRound();
}

void Connector::startLater() {
  stop();
  waitForRound();
}

void Connector::stop() {
  if (query_ != ResolveId::NoQuery) resolver_->cancel(std::exchange(query_, ResolveId::NoQuery));
  if (attempt_ != nullptr) std::exchange(attempt_, nullptr)->cancel();
  if (timer_.isValid()) loop_->cancel(std::exchange(timer_, {}));
  state_ = State::Idle;
  round_ = 1;
}

void Connector::beginRound() {
  next_ = 0;
  if (resolver_ == nullptr) return tryNext();
  resolve();
}

void Connector::resolve() {
  state_ = State::Resolving;
  const auto done = [weak = weak_from_this()](const ResolveResult& result) {
    if (const auto self = weak.lock()) self->nameResolved(result);
  };
  try {
    query_ = resolver_->resolve(name_, done);
  } catch (const std::bad_alloc&) {
    logError("resolving a name has to wait: out of memory");
    waitForRound();
  }
}

void Connector::nameResolved(const ResolveResult& result) {
  query_ = ResolveId::NoQuery;
  addresses_.clear();
  if (result.error) return fail({{}, result.error, "the name was not resolved", round_, {}});
  try {
    addresses_ = result.addresses;
  } catch (const std::bad_alloc&) {
    return fail({{}, ResolveError::OutOfMemory, explainConnectError(ENOMEM), round_, {}});
  }
  tryNext();
}

void Connector::tryNext() {
  state_ = State::Connecting;
  const auto done = [weak = weak_from_this()](const ConnectResult& result) {
    if (const auto self = weak.lock()) self->attemptEnded(result);
  };
  try {
    attempt_ = ConnectAttempt::start(loop_, addresses_[next_++], options_, done);
  } catch (const std::bad_alloc&) {
    logError("a connect has to wait: out of memory");
    waitForRound();
  }
}

void Connector::attemptEnded(const ConnectResult& result) {
  attempt_.reset();
  state_ = State::Idle;
  if (result.error == 0) {
    round_ = 1;
    return callbacks_.onConnected(result.socket);
  }
  const std::error_code error(result.error, std::generic_category());
  fail({addresses_[next_ - 1], error, result.reason, round_, {}});
}

// Goes on first: the callback may stop or destroy all this.
void Connector::fail(ConnectFailure failure) {
  const int roundsMax = options_.backoff.attempts;
  if (failure.error == std::errc::operation_canceled) {
    state_ = State::Idle;  // the loop ends
  } else if (next_ < addresses_.size()) {
    failure.retryAfter = std::chrono::milliseconds::zero();
    tryNext();
  } else if (roundsMax == 0 || round_ < roundsMax) {
    ++round_;
    failure.retryAfter = TimeSpan(waitForRound()).milliseconds();
  } else {
    round_ = 1;
    resetBackoff();
  }
  callbacks_.onFailed(failure);
}

Duration Connector::waitForRound() noexcept {
  const Duration delay = backoff_->next(loop_->proactor().random());
  const auto begin = [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->timer_ = {};
    self->beginRound();
  };
  try {
    timer_ = loop_->runAfter(delay, begin);
    state_ = State::Waiting;
  } catch (const std::bad_alloc&) {
    logError("a client gives up connecting: out of memory");
    state_ = State::Idle;
  }
  return delay;
}

}  // namespace gyre
