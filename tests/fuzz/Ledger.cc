#include "fuzz/Ledger.h"

#include <algorithm>

namespace gyre {
namespace {

const Conduct& conductOf(const PeerFacts* peer) {
  static const Conduct usual;
  return peer == nullptr ? usual : peer->plan->conduct;
}

}  // namespace

Ledger::Ledger(const TcpConnectionPtr& connection, PeerFacts* peer, std::uint64_t seed,
               Verdict& verdict)
    : connection_(connection),
      peer_(peer),
      conduct_(conductOf(peer)),
      random_(seed + (peer == nullptr ? 0 : peer->key << 20)),
      verdict_(verdict) {}

void Ledger::fail(const std::string& what) { verdict_.fail(what + "; " + describe()); }

void Ledger::expectAlive(const char* what) {
  if (ups_ != 1) fail(std::string(what) + " before the connection was up");
  if (downs_ + closes_ > 0) fail(std::string(what) + " after the connection's end");
  if (isAborting_) fail(std::string(what) + " after the connection was to be aborted");
}

void Ledger::up() {
  if (++ups_ != 1) fail("a connection came up twice");
}

void Ledger::message() {
  expectAlive("a message");
  if (isPaused_) fail("a message after stopRead()");
}

void Ledger::writeComplete() {
  expectAlive("write complete");
  if (connection_->outputBytes() != 0) fail("write complete, while bytes wait to be sent");
}

void Ledger::highWater() { expectAlive("high water"); }

// "The peer has shut down its sending side, and all it sent has been delivered."
void Ledger::halfClose() {
  expectAlive("half-close");
  if (++halfCloses_ != 1) fail("the half-close was reported twice");
  if (isPaused_) fail("a half-close after stopRead()");
  if (peer_ == nullptr) return;
  const std::uint64_t offered = received_ + connection_->inputBytes();
  const std::uint64_t sent = peer_->sent.load();
  if (peer_->mayEndByReset && peer_->mayEndByReset()) return;
  if (!peer_->hasFinished.load()) fail("a half-close that the peer has not made");
  if (offered != sent) {
    fail("half-close callback: " + std::to_string(offered) + " bytes of " + std::to_string(sent) +
         " were delivered");
  }
}

void Ledger::down() {
  {
    const std::lock_guard lock(mutex_);
    isAborting_ = false;
  }
  expectAlive("down");
  ++downs_;
  reason_ = connection_->closeReason();
  error_ = connection_->error();
  if (!connection_->disconnected()) fail("down, but not disconnected()");
  if (reason_ == CloseReason::None) fail("down without a reason");
}

void Ledger::closed() {
  if (ups_ != 1 || downs_ != 1) fail("closed without one up and one down");
  if (++closes_ != 1) fail("a connection closed twice");
}

void Ledger::retrieved(std::string_view bytes) {
  if (peer_ != nullptr) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] == peerByte(peer_->key, received_ + i)) continue;
      fail("the server got another byte than was sent, at " + std::to_string(received_ + i));
      break;
    }
  }
  received_ += bytes.size();
}

bool Ledger::queued(std::shared_ptr<const std::string> bytes) {
  const std::lock_guard lock(mutex_);
  if (isEnding_ || isAborting_ || !connection_->connected() || bytes->empty()) return false;
  sentBytes_ += bytes->size();
  sent_.push_back(std::move(bytes));
  return true;
}

void Ledger::willEnd() {
  const std::lock_guard lock(mutex_);
  isEnding_ = true;
}

void Ledger::willAbort() {
  const std::lock_guard lock(mutex_);
  isAborting_ = true;
}

bool Ledger::mayDoEvent() noexcept {
  if (hadEvent_ || received_ < conduct_.eventAt) return false;
  hadEvent_ = conduct_.event != Conduct::Event::Pause;  // pauses again and again
  return true;
}

bool Ledger::mayAnswerLarge() noexcept {
  if (largeBytes_ >= conduct_.largeMax) return false;
  largeBytes_ += conduct_.large;
  return true;
}

bool Ledger::endsAtChunk(std::size_t bytes) const {
  for (const auto& chunk : sent_) {
    if (bytes == 0) return true;
    if (bytes < chunk->size()) return false;
    bytes -= chunk->size();
  }
  return true;
}

void Ledger::judgeSent(std::string_view got, bool hasFin) {
  if (got.size() > sentBytes_) return fail("the peer got more than was sent");
  std::size_t done = 0;
  for (const auto& chunk : sent_) {
    const std::string_view part = got.substr(done, chunk->size());
    if (!std::string_view(*chunk).starts_with(part)) {
      return fail("the peer got other bytes than were sent, from " + std::to_string(done) + " on");
    }
    done += part.size();
    if (done == got.size()) break;
  }
  if (!hasFin || got.size() == sentBytes_) return;
  // What was sent from outside while the connection began to end was ignored, as it should be.
  if (conduct_.sendsFromOutside && endsAtChunk(got.size())) return;
  fail("the peer saw a clean end after " + std::to_string(got.size()) + " of " +
       std::to_string(sentBytes_) + " bytes");
}

void Ledger::judgeEnd() {
  if (ups_ != 1 || downs_ != 1 || closes_ != 1) fail("a connection did not end");
  if (peer_ == nullptr || reason_ != CloseReason::PeerClosed) return;
  if (received_ + left_ == peer_->sent.load()) return;
  fail("closed for the peer's end with " + std::to_string(received_ + left_) + " of " +
       std::to_string(peer_->sent.load()) + " bytes delivered");
}

std::string Ledger::describe() const {
  std::string text = "connection " + std::to_string(connection_->id());
  if (peer_ != nullptr) text += " of peer " + std::to_string(peer_->key);
  text += ": received " + std::to_string(received_) + ", left " + std::to_string(left_);
  text += ", sent " + std::to_string(sentBytes_);
  text += ", answer " + std::to_string(static_cast<int>(conduct_.answer));
  text += ", event " + std::to_string(static_cast<int>(conduct_.event)) + " at " +
          std::to_string(conduct_.eventAt) + (hadEvent_ ? " done" : "");
  text += ", ups " + std::to_string(ups_) + ", downs " + std::to_string(downs_) + ", closes " +
          std::to_string(closes_) + ", half-closes " + std::to_string(halfCloses_);
  text +=
      ", reason " + std::to_string(static_cast<int>(reason_)) + ", error " + std::to_string(error_);
  if (isPaused_) text += ", paused";
  if (isEnding_) text += ", ending";
  if (peer_ != nullptr) text += ", script: " + describeScript(*peer_->plan);
  return text;
}

}  // namespace gyre
