// What a connection receives: delivering it, keeping what the user does not take, pausing.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/connection/TcpConnection.h"

namespace gyre {
namespace {

constexpr std::size_t kBacklogMax = 256 * 1024;

}  // namespace

void TcpConnection::handleInput(IoContext& context, const IoResult& result) noexcept {
  TcpConnection& self = ownerOf<&TcpConnection::input_>(context);
  if (context.kind() == IoKind::Poll) return self.handleWatch(result);
  if (result.more) return self.handleBytes({result.data, result.bytes});
  if (self.state() == State::Joining) return self.joinInFlight();
  switch (result.error) {
    case 0: return self.handleEndOfStream();
    case ECANCELED: return self.updateReading();
    default: return self.abort(CloseReason::Error, result.error);
  }
}

void TcpConnection::handleBytes(std::string_view bytes) noexcept {
  bytesReceived_ += bytes.size();
  received_ = CoarseTime(proactor().wokenAt());
  // Almost always: nothing stands between the bytes and the user.
  if (extras_ == nullptr && mayNotify(Notice::Message)) return deliverWindow(bytes);
  if (!isOpen()) return discard(bytes.size());
  if (extras_ != nullptr && extras_->filter != nullptr) return decode(bytes);
  deliver(bytes);
}

// Before our FIN the peer may send as it likes, it will see the end; after it there is a limit.
void TcpConnection::discard(std::size_t bytes) noexcept {
  if (state() != State::Lingering || has(kAbortWanted)) return;
  if (!guarded([&] { extras().bytesDiscarded += bytes; })) return;
  if (extras_->bytesDiscarded > profile_->options.lingerBytes) {
    abort(CloseReason::LingerTimeout, 0);
  }
}

void TcpConnection::decode(std::string_view received) noexcept {
  Buffer plain;
  Buffer wire;
  bool isGood = true;
  if (!guarded([&] { isGood = extras_->filter->decode(received, plain, wire); })) return;
  if (wire.readableBytes() != 0) enqueue(wire.view());
  if (plain.readableBytes() != 0 && isOpen()) deliver(plain.view());
  if (!isGood) requestAbort(CloseReason::Error, EPROTO);
}

void TcpConnection::deliver(std::string_view bytes) noexcept {
  if (!has(kReading) || has(kInputUntold)) return keep(bytes);
  assertMayNotify<Notice::Message>();
  if (inputBytes() == 0) return deliverWindow(bytes);
  if (!guarded([&] { extras_->unread.append(bytes); })) return;
  callMessage(extras_->unread);
  if (inputBytes() == 0) releaseUnread();
  updateCharge();
  limitInput();
}

void TcpConnection::deliverWindow(std::string_view bytes) noexcept {
  Buffer window = Buffer::borrow(bytes.data(), bytes.size());
  callMessage(window);
  if (window.readableBytes() == 0 || !isOpen()) return;
  // Moving copies what is left: the lent bytes go back when this returns.
  guarded([&] { extras().unread = std::move(window); });
  updateCharge();
  limitInput();
}

void TcpConnection::keep(std::string_view bytes) noexcept {
  guarded([&] {
    extras().unread.append(bytes);
    set(kInputUntold);
  });
  updateCharge();
  if (has(kReading)) loop()->markDirty(*this);
}

// What came while the user did not read, once he does: bytes first, then the end.
void TcpConnection::deliverKept() noexcept {
  if (!isOpen() || !has(kReading)) return;
  if (has(kInputUntold)) {
    clear(kInputUntold);
    assertMayNotify<Notice::Message>();
    // None when the callback that called startRead() has retrieved all of it since.
    if (inputBytes() != 0) callMessage(extras_->unread);
    if (inputBytes() == 0) releaseUnread();
    updateCharge();
    limitInput();
  }
  if (!has(kEndUntold) || !isOpen() || !has(kReading) || has(kInputUntold)) return;
  clear(kEndUntold);
  handleEndOfStream();
}

// An idle connection owns no buffer, and nothing else that it does not need.
void TcpConnection::releaseUnread() noexcept {
  if (extras_ == nullptr) return;
  extras_->unread.retrieveAll();
  extras_->unread.shrink(0);
  if (state() == State::Connected && extras_->isEmpty()) extras_.reset();
}

bool ConnectionExtras::isEmpty() const noexcept {
  return unread.readableBytes() == 0 && !isPinned && filter == nullptr && retired.empty() &&
         !timeouts && receivedLongAgo == TimePoint{} && sentLongAgo == TimePoint{} &&
         readingSince == TimePoint{};
}

// REQUIRES: mayNotify(Notice::Message). The caller has asked, or asserts it: this is the data path.
void TcpConnection::callMessage(Buffer& buffer) noexcept {
  GYRE_DCHECK(mayNotify(Notice::Message), "a message was about to be told in a wrong state");
  guarded([&] {
    if (profile_->onMessage) {
      profile_->onMessage(shared_from_this(), buffer);
    } else {
      buffer.retrieveAll();
    }
  });
}

// What was taken before the pause is still delivered, and may be retrieved then.
void TcpConnection::limitInput() noexcept {
  // What waits for its turn only is not left by the user.
  if (has(kAbortWanted) || has(kInputUntold)) return;
  const bool isFull = inputBytes() > profile_->options.inputLimit;
  if (isFull == has(kInputFull)) return;
  if (isFull) {
    logWarn(
        "connection {} of {}: reading pauses, because {} bytes of input are not retrieved "
        "(inputLimit is {}): retrieve them as they come, or set ConnectionOptions::inputLimit "
        "above "
        "the largest message that is waited for",
        id_, profile_->name, inputBytes(), profile_->options.inputLimit);
    set(kInputFull);
  } else {
    clear(kInputFull);
  }
  loop()->markDirty(*this);
}

void TcpConnection::handleEndOfStream() noexcept {
  set(kEndOfInput);
  if (has(kAbortWanted)) return;  // settle() aborts it: its input was dropped
  if (state() != State::Connected) {
    advanceClose();
    if (state() < State::Joining) updateReading();
    return;
  }
  if (!has(kReading) || has(kInputUntold)) {
    set(kEndUntold);
  } else if (profile_->onHalfClose) {
    notify<Notice::HalfClose>([this] { profile_->onHalfClose(shared_from_this()); });
    // Our side had ended before: now nothing is left to do.
    if (has(kFinSent) && state() == State::Connected) beginGraceful(CloseReason::PeerClosed);
  } else {
    beginGraceful(CloseReason::PeerClosed);
  }
  loop()->markDirty(*this);
}

// While nothing is received nothing else tells of a reset.
void TcpConnection::handleWatch(const IoResult& result) noexcept {
  if (state() == State::Joining) return joinInFlight();
  if (result.error == ECANCELED) return updateReading();
  if (result.error == 0 && has(kFinSent) && (result.events & POLLERR) == 0) {
    // Both sides have ended, in good order: what the peer sent before may still be unread.
    set(kHungUp);
    return updateReading();
  }
  abort(CloseReason::Error, result.error != 0 ? result.error : ECONNRESET);
}

bool TcpConnection::wantsInput() const noexcept {
  if (has(kEndOfInput)) return false;
  if (state() != State::Connected) return true;  // to be discarded
  return has(kReading) && !has(kOutputFull) && !has(kInputFull) && !has(kOverBudget) &&
         !(has(kInputUntold) && isBacklogged());
}

// For unread bytes that wait for their turn: more is taken once they are few.
bool TcpConnection::isBacklogged() const noexcept {
  const std::size_t most = std::min(profile_->options.inputLimit, kBacklogMax);
  const bool isReceiving = input_.isInFlight() && input_.kind() == IoKind::Receive;
  return inputBytes() > (isReceiving ? most : most / 4);
}

// The number's low bits are enough: mistaken for an older iteration's, what is left of that is less
// than could be, and the rest comes in the next.
std::uint16_t TcpConnection::framesLeft() noexcept {
  const auto turn = static_cast<std::uint8_t>(loop()->counters().iterations.get());
  if (budgetTurn_ != turn) {
    budgetTurn_ = turn;
    budgetLeft_ = std::max<std::uint16_t>(profile_->options.framesPerIteration, 1);
  }
  return budgetLeft_;
}

void TcpConnection::offerAgain() noexcept {
  set(kInputUntold);
  loop()->markDirty(*this);
}

// Brings what is in flight in line with what is wanted: a receive or a watch, never both.
void TcpConnection::updateReading() noexcept {
  if (state() >= State::Joining) return;
  const bool wanted = wantsInput();
  if (input_.isInFlight()) {
    if (wanted != (input_.kind() == IoKind::Receive)) proactor().cancel(input_);
  } else if (wanted) {
    if (input_.kind() == IoKind::Poll) noteReading();  // it was paused
    proactor().receive(input_, socket());
  } else if (!has(kHungUp)) {
    proactor().poll(input_, socket(), 0);  // POLLERR and POLLHUP always count
  }
}

}  // namespace gyre
