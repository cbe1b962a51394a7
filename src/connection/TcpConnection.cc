// The life of a connection: establishing, the calls of the user, closing. What moves bytes is in
// ConnectionInput.cc and ConnectionOutput.cc.
#include "gyre/connection/TcpConnection.h"

#include <exception>
#include <new>
#include <utility>

#include "base/LogFormat.h"
#include "connection/ConnectionGroup.h"
#include "connection/OutputQueue.h"
#include "gyre/base/Check.h"

namespace gyre {

ConnectionProfile::ConnectionProfile(RefPtr<ConnectionGroup> owner) : group(std::move(owner)) {}
ConnectionProfile::~ConnectionProfile() = default;

namespace {

// Addresses are large: none is copied.
Endpoints endpointsOf(const TcpConnection::Init& init) noexcept {
  const Proactor& proactor = init.loop->proactor();
  const InetAddress peer = proactor.peerAddress(init.socket);
  if (init.local != nullptr) return {*init.local, peer};
  return {proactor.localAddress(init.socket), peer};
}

}  // namespace

TcpConnection::TcpConnection(const Init& init)
    : mailbox_(init.loop->mailbox()),
      profile_(init.profile),
      input_(&TcpConnection::handleInput, init.socket),
      send_(&TcpConnection::handleSend, init.socket),
      id_(init.id),
      received_(init.loop->now()),
      endpoints_(endpointsOf(init)),
      sent_(received_) {}

// Plain memory: finishClose() has given everything back that belonged to the loop.
TcpConnection::~TcpConnection() {
  GYRE_CHECK(state() == State::Closed || !has(kEstablished),
             "a TcpConnection was destroyed before it was closed");
}

std::shared_ptr<TcpConnection> TcpConnection::make(const Init& init) {
  auto connection = std::make_shared<TcpConnection>(init);
  connection->scheduleTimeouts();
  try {
    init.loop->addResident(connection);
  } catch (...) {
    connection->unscheduleTimeouts();
    throw;
  }
  return connection;
}

void TcpConnection::connectEstablished() noexcept {
  loop()->proactor().mutableCounters().connections.add();
  set(kEstablished);
  if (profile_->options.readOnEstablish) set(kReading);
  notify<Notice::Up>([this] {
    if (profile_->onConnection) profile_->onConnection(shared_from_this());
  });
  loop()->markDirty(*this);  // settle() starts the first read, or what the callback asked for
}

// --- Any thread

void TcpConnection::post(void (TcpConnection::*method)()) {
  if (isInLoopThread()) return (this->*method)();
  mailbox_->post([self = shared_from_this(), method] { (self.get()->*method)(); });
}

bool TcpConnection::isInLoopThread() const noexcept {
  // Compared, not asked: the loop may have ended.
  return EventLoop::current() == mailbox_->loop() && !disconnected();
}

// After the loop's end a handle is plain memory, and nobody else touches it.
void TcpConnection::assertInLoopThread() const noexcept {
  const EventLoop* current = EventLoop::current();
  const bool isHere = current != nullptr ? current == mailbox_->loop() : mailbox_->isOwnThread();
  GYRE_CHECK(isHere || mailbox_->hasEnded(),
             "a connection was used on another thread than its loop's: use queueInLoop; only what "
             "TcpConnection.h lists under \"Any thread\" is for other threads");
}

void TcpConnection::forceCloseWith(int error) noexcept {
  assertInLoopThread();
  requestAbort(CloseReason::Error, error);
}

void TcpConnection::shutdown() { post(&TcpConnection::shutdownInLoop); }
void TcpConnection::shutdownWrite() { post(&TcpConnection::shutdownWriteInLoop); }
void TcpConnection::forceClose() { post(&TcpConnection::forceCloseInLoop); }
void TcpConnection::abort() { post(&TcpConnection::abortInLoop); }
void TcpConnection::startRead() { post(&TcpConnection::startReadInLoop); }
void TcpConnection::stopRead() { post(&TcpConnection::stopReadInLoop); }

void TcpConnection::startReadInLoop() {
  if (state() != State::Connected) return;
  // What a message callback left when it stopped reading is offered again.
  if (!has(kReading) && inputBytes() != 0) set(kInputUntold);
  set(kReading);
  clear(kInputFull);
  loop()->markDirty(*this);
}

void TcpConnection::stopReadInLoop() {
  if (state() != State::Connected) return;
  clear(kReading);
  loop()->markDirty(*this);
}

void TcpConnection::shutdownInLoop() {
  if (state() == State::Connected) beginGraceful(CloseReason::Shutdown);
}

void TcpConnection::shutdownWriteInLoop() {
  if (!maySend()) return;
  finishFilter();
  set(kFinWanted);
  loop()->markDirty(*this);
}

void TcpConnection::handleThrow() noexcept {
  loop()->proactor().mutableCounters().callbackFailures.add();
  try {
    throw;
  } catch (const std::bad_alloc&) {
    requestAbort(CloseReason::OutOfMemory, ENOMEM);
  } catch (const std::exception& error) {
    logError("connection {} of {}: a callback threw: {}", id_, profile_->name, error.what());
    requestAbort(CloseReason::CallbackFailed, 0);
  } catch (...) {
    logError("connection {} of {}: a callback threw something that is no std::exception", id_,
             profile_->name);
    requestAbort(CloseReason::CallbackFailed, 0);
  }
}

void TcpConnection::forceCloseInLoop() { requestAbort(CloseReason::Aborted, 0); }

void TcpConnection::abortInLoop() {
  if (state() < State::Joining) set(kReset);
  requestAbort(CloseReason::Aborted, 0);
}

void TcpConnection::drain() {
  if (!mayNotify(Notice::Drain)) return;
  if (!profile_->onDrain) {
    guarded([this] { scheduleTimeouts(); });
    return;
  }
  notify<Notice::Drain>([this] { profile_->onDrain(shared_from_this()); });
}

void TcpConnection::abandon() noexcept {
  const bool isOpenStill = state() != State::Closed;
  if (has(kEstablished) && isOpenStill) loop()->proactor().mutableCounters().disconnections.add();
  clear(kEstablished);
  requestAbort(CloseReason::Aborted, 0);
}

void TcpConnection::beginClose() noexcept { requestAbort(CloseReason::Aborted, 0); }

// --- Loop thread

void TcpConnection::setTcpNoDelay(bool on) noexcept {
  assertInLoopThread();
  if (state() < State::Joining) proactor().setOption(socket(), SocketOption::NoDelay, on ? 1 : 0);
}

std::any& TcpConnection::context() {
  assertInLoopThread();
  extras().isPinned = true;
  return extras().context;
}

TcpConnection::Extras& TcpConnection::extras() {
  if (extras_ == nullptr) extras_ = std::make_unique<Extras>();
  return *extras_;
}

void TcpConnection::setProfile(RefPtr<ConnectionProfile> profile) {
  assertInLoopThread();
  if (!profile_) return;  // it has finished closing
  GYRE_CHECK(profile && profile->group.get() == profile_->group.get(),
             "a connection takes profiles of its own server only");
  // A callback of the old one may be what calls us. Room for it first: the exchange cannot fail.
  std::vector<RefPtr<ConnectionProfile>>& retired = extras().retired;
  retired.reserve(retired.size() + 1);
  retired.push_back(std::exchange(profile_, std::move(profile)));
  guarded([this] { scheduleTimeouts(); });
  extras().frames = {};
  set(kInputUntold);  // what the old one left, if anything
  loop()->markDirty(*this);
}

void TcpConnection::setFilter(std::unique_ptr<ConnectionFilter> filter) {
  assertInLoopThread();
  GYRE_CHECK(extras().filter == nullptr, "a connection has one filter");
  if (state() != State::Closed) extras().filter = std::move(filter);
}

const void* TcpConnection::group() const noexcept {
  return profile_ ? profile_->group.get() : nullptr;
}

// Runs once per iteration for a connection that asked for it: never inside a call of the user's.
void TcpConnection::settle() noexcept {
  if (isSteady()) return submitSend();
  if (state() >= State::Joining) return;
  if (has(kAbortWanted)) return abort(reason_, error_);
  if (extras_ != nullptr) extras_->retired.clear();
  deliverKept();
  if (has(kHighWaterDue)) tellHighWater();
  if (has(kWriteCompleteDue)) tellWriteComplete();
  if (has(kAbortWanted)) return abort(reason_, error_);
  if (state() != State::Connected) releaseUnread();  // not earlier: a callback may have held it
  submitSend();
  advanceClose();
  updateReading();
}

// --- Closing

// Not at once: a callback of the user's may be running.
void TcpConnection::requestAbort(CloseReason reason, int error) noexcept {
  if (state() >= State::Joining || has(kAbortWanted)) return;
  set(kAbortWanted);
  reason_ = reason;
  error_ = static_cast<std::int16_t>(error);
  loop()->markDirty(*this);
}

void TcpConnection::beginGraceful(CloseReason reason) noexcept {
  if (!has(kAbortWanted)) finishFilter();
  if (has(kAbortWanted)) return;  // settle() aborts it, and the user is told why
  reason_ = reason;
  setState(State::Flushing);
  loop()->markDirty(*this);
}

void TcpConnection::finishFilter() noexcept {
  if (extras_ == nullptr || extras_->filter == nullptr || has(kFinWanted)) return;
  const bool isFinished = guarded([this] {
    Buffer wire;
    extras_->filter->finish(wire);
    enqueue(wire.view());
  });
  if (!isFinished) set(kReset);
}

// Goes on as far as it can: FIN when all is sent, the end when both FINs are there.
void TcpConnection::advanceClose() noexcept {
  const State before = state();
  if (before >= State::Joining || hasOutput()) return;
  if (before == State::Flushing) {
    // Where nothing is to be waited for, close(2) sends our FIN: a system call less.
    const bool closesNow = has(kEndOfInput) && !input_.isInFlight();
    if (!has(kFinSent)) {
      if (isCutShort()) return abortCutShort();
      if (!closesNow) sendFin();
    }
    setState(State::Lingering);
    if (!has(kEndOfInput)) guarded([this] { scheduleTimeouts(); });
  } else if (before == State::Connected && has(kFinWanted) && !has(kFinSent)) {
    if (isCutShort()) return abortCutShort();
    sendFin();
    if (has(kEndOfInput) && !has(kEndUntold)) beginGraceful(CloseReason::PeerClosed);
  }
  if (state() == State::Lingering && has(kEndOfInput)) joinInFlight();
}

// All that could be sent was; a FIN would say that this was all.
void TcpConnection::abortCutShort() noexcept {
  if (hasLostPost()) return abort(CloseReason::OutOfMemory, ENOMEM);
  abort(reason_, error_);
}

void TcpConnection::sendFin() noexcept {
  set(kFinSent);
  sent_ = CoarseTime(loop()->now());
  // Fails when the peer has reset meanwhile: the receive or the watch tells of that.
  proactor().shutdownWrite(socket());
}

void TcpConnection::abort(CloseReason reason, int error) noexcept {
  if (state() >= State::Joining) return;
  // What was asked for first is why it closes.
  if (!has(kAbortWanted)) {
    reason_ = reason;
    error_ = static_cast<std::int16_t>(error);
  }
  // A peer that got a part would take a FIN for the end of the whole: closing resets then, and no
  // shutdown, which sends one, comes before it. The cancel alone ends what is in flight.
  if (hasOutput() || isCutShort() || reason_ == CloseReason::OutOfMemory) {
    proactor().setOption(socket(), SocketOption::LingerZero, 1);
  } else if (input_.isInFlight()) {
    proactor().shutdownBoth(socket());
  }
  joinInFlight();
}

// The kernel owns contexts, buffers and socket until the last completion.
void TcpConnection::joinInFlight() noexcept {
  const bool isFirst = state() < State::Joining;
  if (isFirst) setState(State::Joining);
  // What no send holds will never be sent, and may keep a receive buffer from other connections.
  if (hasOutput() && !send_.isInFlight()) dropOutput();
  if (input_.isInFlight() || send_.isInFlight()) {
    if (isFirst) proactor().cancelAll(socket());
    return;
  }
  closeSocket();
  finishClose();
}

void TcpConnection::closeSocket() noexcept {
  unscheduleTimeouts();
  proactor().close(socket());
}

void TcpConnection::finishClose() noexcept {
  EventLoop& home = *loop();
  releaseUnread();
  dropCharge();
  setState(State::Closed);
  if (has(kEstablished)) {
    home.proactor().mutableCounters().disconnections.add();
    notify<Notice::Closed>([this] {
      if (profile_->onConnection) profile_->onConnection(shared_from_this());
    });
    notify<Notice::Closed>([this] {
      // The callback before may have been the one that ended its client.
      if (profile_->onClose && has(kEstablished)) profile_->onClose(shared_from_this());
    });
  }
  extras_.reset();
  const RefPtr<ConnectionProfile> profile = std::exchange(profile_, {});
  home.removeResident(*this);
  profile->group->remove(&home, id_);
}

}  // namespace gyre
