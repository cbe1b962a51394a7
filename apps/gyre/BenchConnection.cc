#include "BenchConnection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "BenchSocket.h"

namespace gyre {

namespace {

constexpr std::uint64_t kEndless = UINT64_MAX / 2;
constexpr std::chrono::milliseconds kAskAgainAfter{1};

}  // namespace

BenchConnection::BenchConnection(const Surroundings& surroundings, std::size_t index)
    : surroundings_(surroundings),
      ledger_(surroundings.ledger),
      proactor_(surroundings.loop.proactor()),
      index_(index),
      payloadStart_(index * 31 % BenchPayload::kPeriod),
      connect_(&handleConnect),
      receive_(&handleReceive),
      send_(&handleSend) {
  const BenchPlan& plan = ledger_.plan();
  if (plan.mode != BenchMode::Open) startedAt_.resize(plan.depth);
}

void BenchConnection::open() {
  due_ = done_ = bytesSubmitted_ = bytesReceived_ = 0;
  nextReplyEnd_ = ledger_.plan().replySize;
  hasShutDown_ = false;
  socket_ =
      makeBenchSocket(proactor_, ledger_.plan().address, ledger_.share().firstConnection + index_);
  if (!socket_.isValid()) {
    fail(BenchFault::ConnectFailed, socket_.error());
    return;
  }
  state_ = State::Connecting;
  if (!startedAt_.empty()) startedAt_[0] = proactor_.now();
  connect();
}

void BenchConnection::connect() { proactor_.connect(connect_, socket_, ledger_.plan().address); }

void BenchConnection::handleConnect(IoContext& context, const IoResult& result) noexcept {
  BenchConnection& self = ownerOf<&BenchConnection::connect_>(context);
  if (self.state_ == State::Closing) return self.advanceClose();
  // The backlog of a unix socket is full, and no event says when there is room: asked again.
  const BenchPlan& plan = self.ledger_.plan();
  if (result.error == EAGAIN && plan.address.isUnix()) {
    self.connectAgain_ =
        self.surroundings_.loop.runAfter(kAskAgainAfter, [&self] { self.connect(); });
    return;
  }
  if (result.error != 0) {
    const bool isRefused = result.error == ECONNREFUSED;
    return self.fail(isRefused ? BenchFault::Refused : BenchFault::ConnectFailed, result.error);
  }
  self.state_ = State::Open;
  ++self.ledger_.tally().connected;
  self.proactor_.receive(self.receive_, self.socket_);
  if (plan.mode == BenchMode::Connect || plan.touchesIdle) self.due_ = 1;
  self.pump();
  if (!plan.touchesIdle) self.noteSettled();
}

void BenchConnection::noteSettled() {
  if (std::exchange(hasSettled_, true)) return;
  surroundings_.callback(*this, News::Settled);
}

void BenchConnection::start(TimePoint now) {
  if (!isOpen() || ledger_.plan().mode != BenchMode::Closed) return;
  std::fill(startedAt_.begin(), startedAt_.end(), now);
  due_ = kEndless;
  pump();
}

void BenchConnection::addDue() {
  ++due_;
  pump();
}

void BenchConnection::finishUp() {
  isFinishing_ = true;
  if (ledger_.plan().mode == BenchMode::Closed) due_ = messagesAllowed();
  if (ledger_.plan().size == 0) due_ = done_;
  pump();
  noteFinish();
}

bool BenchConnection::isFinished() const noexcept {
  if (state_ != State::Open) return state_ == State::Closed;
  return done_ == due_ && !ledger_.plan().halfCloses && ledger_.plan().mode != BenchMode::Connect;
}

void BenchConnection::noteFinish() {
  if (!isFinishing_ || isFinishNoted_ || !isFinished()) return;
  isFinishNoted_ = true;
  surroundings_.callback(*this, News::Finished);
}

void BenchConnection::abandon() {
  if (state_ != State::Connecting && state_ != State::Open) return;
  if (due_ > done_) ledger_.countFault(BenchFault::Unanswered, 0, due_ - done_);
  if (state_ == State::Connecting) ledger_.countFault(BenchFault::ConnectTimeout, ETIMEDOUT, 1);
  beginClose();
}

// --- Messages

std::uint64_t BenchConnection::messagesAllowed() const noexcept {
  return std::min<std::uint64_t>(due_, done_ + ledger_.plan().depth);
}

// An echo may begin before its request has ended.
std::uint64_t BenchConnection::bytesExpected() const noexcept {
  const BenchPlan& plan = ledger_.plan();
  if (plan.size == 0) return kEndless;
  if (plan.size == plan.replySize) return bytesSubmitted_;
  return bytesSubmitted_ / plan.size * plan.replySize;
}

TimePoint BenchConnection::dueTime(std::uint64_t message) const noexcept {
  if (startedAt_.empty()) return ledger_.dueTime(index_, message);
  return startedAt_[message % startedAt_.size()];
}

void BenchConnection::completeMessage(TimePoint now) {
  ledger_.record(dueTime(done_), now);
  if (!startedAt_.empty()) startedAt_[done_ % startedAt_.size()] = now;
  ++done_;
}

void BenchConnection::handleReceive(IoContext& context, const IoResult& result) noexcept {
  BenchConnection& self = ownerOf<&BenchConnection::receive_>(context);
  if (result.more) {
    if (self.isOpen()) self.takeBytes(result.data, result.bytes);
    return;
  }
  if (self.state_ == State::Closing) return self.advanceClose();
  if (result.error != 0) return self.fail(BenchFault::Reset, result.error);
  self.endOfStream();
}

void BenchConnection::takeBytes(const char* data, std::size_t size) {
  const BenchPlan& plan = ledger_.plan();
  if (plan.isChecked && !ledger_.payload().matches(payloadStart_ + bytesReceived_, data, size)) {
    return fail(BenchFault::WrongByte, 0);
  }
  bytesReceived_ += size;
  if (bytesReceived_ > bytesExpected()) return fail(BenchFault::Excess, 0);
  if (ledger_.isMeasuring()) ledger_.tally().bytesReceived += size;
  if (bytesReceived_ >= nextReplyEnd_) completeReplies();
  pump();
}

void BenchConnection::completeReplies() {
  const TimePoint now = proactor_.now();
  const BenchPlan& plan = ledger_.plan();
  while (bytesReceived_ >= nextReplyEnd_) {
    completeMessage(now);
    nextReplyEnd_ += plan.replySize;
  }
  if (plan.touchesIdle) noteSettled();
  noteFinish();
}

void BenchConnection::endOfStream() {
  const bool isComplete = done_ == due_ || ledger_.plan().size == 0;
  const bool wasAsked =
      hasShutDown_ || isFinishing_ || (due_ > 0 && ledger_.plan().mode == BenchMode::Connect);
  if (!isComplete || !wasAsked) return fail(BenchFault::Closed, 0);
  beginClose();
}

// --- Sending

void BenchConnection::pump() {
  if (!isOpen() || send_.isInFlight()) return;
  const std::uint64_t owed = messagesAllowed() * ledger_.plan().size - bytesSubmitted_;
  if (owed == 0) return shutDownWhenDue();
  sendBytes(std::min<std::uint64_t>(owed, kSendBytesMax));
}

void BenchConnection::sendBytes(std::uint64_t size) {
  constexpr std::size_t kPieces = kSendBytesMax / BenchPayload::kPieceBytes;
  std::array<IoSlice, kPieces> slices;
  std::size_t count = 0;
  for (std::uint64_t done = 0; done < size; ++count) {
    const std::size_t piece = std::min<std::uint64_t>(size - done, BenchPayload::kPieceBytes);
    slices[count] = {ledger_.payload().at(payloadStart_ + bytesSubmitted_ + done), piece};
    done += piece;
  }
  bytesSubmitted_ += size;
  proactor_.send(send_, socket_, std::span(slices.data(), count));
}

void BenchConnection::handleSend(IoContext& context, const IoResult& result) noexcept {
  BenchConnection& self = ownerOf<&BenchConnection::send_>(context);
  if (self.state_ == State::Closing) return self.advanceClose();
  if (result.error != 0) return self.fail(BenchFault::Reset, result.error);
  if (self.ledger_.isMeasuring()) self.ledger_.tally().bytesSent += result.bytes;
  if (self.ledger_.plan().replySize == 0) self.completeSent(result.bytes);
  self.pump();
}

// Without replies a message is complete when the kernel has taken it.
void BenchConnection::completeSent(std::size_t size) {
  bytesReceived_ += size;
  const TimePoint now = proactor_.now();
  while (bytesReceived_ >= (done_ + 1) * ledger_.plan().size) completeMessage(now);
  noteFinish();
}

// The reply may be here before the completion of its request's send.
void BenchConnection::shutDownWhenDue() {
  if (hasShutDown_) return;
  const BenchPlan& plan = ledger_.plan();
  const bool cycleIsDone = plan.mode == BenchMode::Connect && due_ > 0 && done_ == due_;
  if (!cycleIsDone && !(isFinishing_ && plan.halfCloses)) return;
  hasShutDown_ = true;
  const int error = proactor_.shutdownWrite(socket_);
  if (error != 0) fail(BenchFault::Reset, error);
}

// --- Closing

void BenchConnection::fail(BenchFault fault, int error) {
  ledger_.countFault(fault, error, 1);
  hasFailed_ = true;
  noteSettled();
  beginClose();
}

void BenchConnection::beginClose() {
  state_ = State::Closing;
  surroundings_.loop.cancel(std::exchange(connectAgain_, {}));
  if (connect_.isInFlight() || receive_.isInFlight() || send_.isInFlight()) {
    proactor_.cancelAll(socket_);
  }
  advanceClose();
}

void BenchConnection::advanceClose() {
  if (connect_.isInFlight() || receive_.isInFlight() || send_.isInFlight()) return;
  if (socket_.isValid()) proactor_.close(socket_);
  socket_ = SocketHandle();
  state_ = State::Closed;
  noteFinish();
  const bool hasFailed = std::exchange(hasFailed_, false);
  surroundings_.callback(*this, hasFailed ? News::Failed : News::Closed);
}

}  // namespace gyre
