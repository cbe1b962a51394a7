#include "sim/SimPeer.h"

#include <algorithm>
#include <array>
#include <utility>

namespace gyre {
namespace {

constexpr std::size_t kReadMax = 64 * 1024;

}  // namespace

SimPeer::SimPeer(SimFabric& fabric, std::string name)
    : fabric_(fabric),
      world_(fabric.world),
      name_(std::move(name)),
      self_(std::make_shared<SimPeer*>(this)) {
  ++fabric_.peers;
}

SimPeer::~SimPeer() {
  *self_ = nullptr;
  drop();
  --fabric_.peers;
}

void SimPeer::note(std::string_view what, std::size_t amount) {
  world_.note({.who = name_, .what = what, .amount = static_cast<std::int64_t>(amount)});
}

void SimPeer::append(SimStep step) {
  steps_.push_back(std::move(step));
  schedule(world_.now());
}

void SimPeer::setReadPace(SimPace pace) {
  readPace_ = pace;
  schedule(world_.now());
}

void SimPeer::schedule(TimePoint at) {
  if (!scheduled_.insert(at).second) return;
  world_.at(at, [self = self_, at] {
    if (*self == nullptr) return;
    (*self)->scheduled_.erase(at);
    (*self)->act();
  });
}

void SimPeer::act() {
  observe();
  readSome();
  playScript();
}

// --- The connection

void SimPeer::observe() {
  if (!link_) return;
  constexpr SimSide kSide = SimSide::Connector;
  observed_.connected = link_->isConnected(kSide) && !link_->isReset(kSide);
  if (link_->isReset(kSide) && !observed_.reset) {
    observed_.reset = true;
    note("sees a reset");
  }
  if (link_->connectError() != 0 && observed_.connectError == 0) {
    observed_.connectError = link_->connectError();
    note("cannot connect");
  } else if (observed_.reset && !link_->isConnected(kSide) && observed_.connectError == 0) {
    observed_.connectError = link_->takeError(kSide);
  }
}

void SimPeer::readSome() {
  while (link_ && !stalled_) {
    const std::size_t readable = link_->readable(SimSide::Connector);
    if (readable == 0) break;
    if (readAt_ > world_.now()) return schedule(readAt_);
    if (world_.strikes(SimFault::ClientStalled)) {
      readAt_ = world_.now() + world_.skewed(std::chrono::milliseconds(500)) + Duration(1);
      continue;
    }
    std::string bytes(std::min(readable, readPace_.bytes == 0 ? kReadMax : readPace_.bytes), '\0');
    link_->read(SimSide::Connector, bytes);
    readAt_ = world_.now() + readPace_.pause;
    observed_.bytesReceived += bytes.size();
    note("reads", bytes.size());
    world_.trace().fold(simHash(0, bytes));
    if (onBytes_) {
      onBytes_(bytes);
    } else {
      observed_.received += bytes;
    }
  }
  if (link_ && !observed_.ended && !observed_.reset && link_->isAtEnd(SimSide::Connector)) {
    observed_.ended = true;
    note("sees the end");
  }
}

void SimPeer::drop() {
  if (link_) link_->close(SimSide::Connector);
  link_.reset();
  observed_.connected = false;
}

// --- The script

void SimPeer::playScript() {
  while (!steps_.empty()) {
    SimStep& step = steps_.front();
    if (!step.begun) begin(step);
    switch (play(step)) {
      case Outcome::Done: steps_.pop_front(); break;
      case Outcome::Waits: return;
      case Outcome::Impossible: note("gives up", steps_.size()); return steps_.clear();
    }
  }
}

void SimPeer::begin(SimStep& step) {
  static constexpr std::array<std::string_view, 11> kNames = {
      "connects", "sends",  "awaits bytes", "awaits the end", "half-closes", "closes",
      "resets",   "stalls", "resumes",      "waits",          "calls"};
  step.begun = true;
  step.until = world_.now() + step.duration;
  note(kNames[static_cast<std::size_t>(step.kind)], step.bytes.size());
  if (step.kind != SimStep::Kind::Connect) return;
  GYRE_CHECK(!observed_.connected, "a client has one connection at a time: close it first");
  drop();
  observed_ = {};
  readAt_ = {};
  stalled_ = false;
  last_ = link_ = fabric_.tcp.connect(step.address);
  link_->setWatcher(SimSide::Connector, this);
  link_->setLosesUnread(SimSide::Connector);
  observed_.localAddress = link_->address(SimSide::Connector);
}

SimPeer::Outcome SimPeer::play(SimStep& step) {
  using Kind = SimStep::Kind;
  switch (step.kind) {
    case Kind::Connect: return playConnect();
    case Kind::Send: return playSend(step);
    case Kind::AwaitBytes: return playAwaitBytes(step);
    case Kind::AwaitEnd: return playAwaitEnd();
    case Kind::HalfClose: return playHalfClose();
    case Kind::Close: drop(); return Outcome::Done;
    case Kind::Reset: return playReset();
    case Kind::Stall: return setStalled(true);
    case Kind::Resume: return setStalled(false);
    case Kind::Wait: return playWait(step);
    case Kind::Call: step.call(); return Outcome::Done;
  }
  return Outcome::Impossible;
}

SimPeer::Outcome SimPeer::playConnect() {
  if (observed_.connectError != 0 || observed_.reset) return Outcome::Impossible;
  return observed_.connected ? Outcome::Done : Outcome::Waits;
}

bool SimPeer::canSend() const {
  return link_ && observed_.connected && !link_->isWriteShut(SimSide::Connector);
}

SimPeer::Outcome SimPeer::playSend(SimStep& step) {
  while (step.count < step.bytes.size()) {
    if (!canSend()) return Outcome::Impossible;
    if (step.until > world_.now()) {
      schedule(step.until);
      return Outcome::Waits;
    }
    std::size_t size = std::min(step.bytes.size() - step.count, link_->room(SimSide::Connector));
    if (size == 0) return Outcome::Waits;
    if (step.pace.bytes > 0) size = std::min(size, step.pace.bytes);
    link_->write(SimSide::Connector, std::string_view(step.bytes).substr(step.count, size));
    step.count += size;
    observed_.bytesSent += size;
    step.until = world_.now() + step.pace.pause;
  }
  return Outcome::Done;
}

SimPeer::Outcome SimPeer::playAwaitBytes(const SimStep& step) {
  if (observed_.bytesReceived >= step.count) return Outcome::Done;
  return observed_.connected && !observed_.ended ? Outcome::Waits : Outcome::Impossible;
}

SimPeer::Outcome SimPeer::playAwaitEnd() {
  return !link_ || observed_.ended || observed_.reset ? Outcome::Done : Outcome::Waits;
}

SimPeer::Outcome SimPeer::playHalfClose() {
  if (!canSend()) return Outcome::Impossible;
  world_.count(observed_.bytesSent == 0 ? SimFault::HalfClosedUnsent : SimFault::HalfClosedSent);
  link_->shutdownWrite(SimSide::Connector);
  return Outcome::Done;
}

SimPeer::Outcome SimPeer::playReset() {
  if (!link_) return Outcome::Impossible;
  world_.count(SimFault::ClientReset);
  link_->setLingerZero(SimSide::Connector);
  drop();
  return Outcome::Done;
}

SimPeer::Outcome SimPeer::playWait(const SimStep& step) {
  if (step.until <= world_.now()) return Outcome::Done;
  schedule(step.until);
  return Outcome::Waits;
}

SimPeer::Outcome SimPeer::setStalled(bool stalled) {
  if (stalled && !stalled_) world_.count(SimFault::ClientStalled);
  stalled_ = stalled;
  if (!stalled) schedule(world_.now());
  return Outcome::Done;
}

}  // namespace gyre
