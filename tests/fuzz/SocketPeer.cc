#include "fuzz/SocketPeer.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "fuzz/FuzzFilter.h"

namespace gyre {
namespace {

using Kind = PeerStep::Kind;

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::chrono::milliseconds kAwaitMax{300};  // an answer that the conduct may not give

// A listener of both families has clients of both.
InetAddress serverFor(const PeerFacts& facts, const InetAddress& server) {
  if (server.family() != AF_INET6) return server;
  const bool isV6 = facts.key % 2 == 0;
  return isV6 ? InetAddress::loopbackV6(server.port()) : InetAddress::loopback(server.port());
}

// Each peer, or each group, has a loopback address of its own, by which the server knows it; of
// IPv6 there is but one, and the port tells peers apart.
InetAddress addressOf(const PeerFacts& facts, const InetAddress& server) {
  if (server.isUnix()) return {};
  if (server.family() == AF_INET6) return InetAddress::loopbackV6(0);
  const std::uint64_t number =
      facts.plan->addressGroup != 0 ? facts.plan->addressGroup : facts.key + 1000;
  std::string text = "127.";
  for (const int shift : {14, 7, 0}) {
    text += std::to_string((number >> shift & 127) + 1) + (shift == 0 ? ":0" : ".");
  }
  return InetAddress(text);
}

// Linux chooses the name of a unix socket that is given none.
bool bindTo(int fd, const InetAddress& address) {
  const sockaddr unnamed{AF_UNIX, {}};
  if (address.family() != AF_UNSPEC)
    return ::bind(fd, address.sockaddrPtr(), address.length()) == 0;
  return ::bind(fd, &unnamed, sizeof unnamed.sa_family) == 0;
}

}  // namespace

SocketPeer::SocketPeer(PeerFacts& facts, PeerDirectory& directory, const InetAddress& server,
                       const Scenario& scenario)
    : facts_(facts),
      directory_(directory),
      server_(serverFor(facts, server)),
      isFiltered_(scenario.isFiltered),
      random_(scenario.seed + facts.key * 7919) {
  open();
  if (connectError_ == 0) connect();
  if (connectError_ != 0) breakOff();
}

void SocketPeer::open() {
  fd_.reset(::socket(server_.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int size = facts_.plan->receiveBuffer;
  if (size > 0) ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (!bindTo(fd_.get(), addressOf(facts_, server_))) connectError_ = errno;
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  ::getsockname(fd_.get(), address, &length);
  address_ = InetAddress::fromSockaddr(address, length);
  directory_.bind(address_, facts_);
  // When the server has ended, its port may be chosen: the peer would be connected to itself.
  if (address_ == server_) connectError_ = EADDRINUSE;
}

void SocketPeer::connect() {
  const bool fails = ::connect(fd_.get(), server_.sockaddrPtr(), server_.length()) != 0;
  isBacklogFull_ = fails && errno == EAGAIN && server_.isUnix();
  if (fails && errno != EINPROGRESS && !isBacklogFull_) connectError_ = errno;
}

void SocketPeer::finishConnect() {
  if (isBacklogFull_) {
    connect();
    if (connectError_ != 0) return breakOff();
    if (isBacklogFull_) return;
  }
  pollfd one{fd_.get(), POLLOUT, 0};
  if (::poll(&one, 1, 0) == 0) return;
  socklen_t length = sizeof connectError_;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &connectError_, &length);
  if (connectError_ != 0) return breakOff();
  isConnected_ = true;
  progress();
}

short SocketPeer::events() const noexcept {
  if (!isConnected_) return POLLOUT;
  short events = 0;
  if (isReading_ && end_ == End::None) events |= POLLIN;
  if (isFull_ && !isBroken_) events |= POLLOUT;
  return events;
}

void SocketPeer::step() {
  if (!isFinished_ && !isConnected_) finishConnect();
  if (isFinished_ || !isConnected_) return;
  if (isReading_ && end_ == End::None) read();
  const std::vector<PeerStep>& steps = facts_.plan->steps;
  while (!isFinished_ && stepIndex_ < steps.size() && doStep(steps[stepIndex_])) {
    ++stepIndex_;
    stepDone_ = 0;
    waitUntil_ = {};
    progress();
  }
  if (!isFinished_ && stepIndex_ == steps.size()) finish(false);
}

void SocketPeer::read() {
  std::array<char, kPiece> piece;
  for (int rounds = 0; rounds < 8; ++rounds) {
    const ssize_t got = ::recv(fd_.get(), piece.data(), piece.size(), 0);
    if (got > 0) {
      received_.append(piece.data(), static_cast<std::size_t>(got));
      progress();
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    end_ = got == 0 && !wasReset_ ? End::Fin : End::Reset;
    progress();
    return;
  }
}

bool SocketPeer::doStep(const PeerStep& step) {
  switch (step.kind) {
    case Kind::Send: return send(step.amount, std::min<std::size_t>(step.amount, kPiece));
    case Kind::Trickle: return send(step.amount, 1);
    case Kind::Wait:
    case Kind::Await: {
      if (step.kind == Kind::Await && (received_.size() >= step.amount || !isReading_)) return true;
      if (end_ != End::None) return true;
      const auto limit = step.kind == Kind::Wait ? std::chrono::milliseconds(step.amount)
                         : step.amount == 1 || step.amount == 4 ? std::chrono::hours(1)
                                                                : kAwaitMax;
      if (waitUntil_ == Clock::time_point{}) waitUntil_ = Clock::now() + limit;
      return Clock::now() >= waitUntil_;
    }
    case Kind::StopReading: isReading_ = isReleased_; return true;
    case Kind::StartReading: isReading_ = true; return true;
    case Kind::Park: return isReleased_;
    case Kind::HalfClose:
      facts_.hasFinished = true;
      ::shutdown(fd_.get(), SHUT_WR);
      return true;
    case Kind::AwaitEnd: widenWindow(); return end_ != End::None;
    case Kind::Close: finish(false); return true;
    case Kind::Reset: finish(true); return true;
  }
  return true;
}

// Through a window of 2 KiB Linux carries some 10 KB a second over loopback, for both sides wait
// for timers. That is no news of the server, so what is left comes faster.
void SocketPeer::widenWindow() {
  if (std::exchange(isWide_, true) || facts_.plan->receiveBuffer == 0) return;
  const int wide = 256 * 1024;
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &wide, sizeof wide);
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_WINDOW_CLAMP, &wide, sizeof wide);
}

bool SocketPeer::send(std::size_t total, std::size_t pieceMax) {
  isFull_ = false;
  while (stepDone_ < total && !isBroken_) {
    std::array<char, kPiece> piece;
    const std::size_t size = random_.between(1, std::min(pieceMax, total - stepDone_));
    fillPeerBytes(facts_.key, facts_.sent, piece.data(), size);
    if (isFiltered_) flip(std::span(piece).first(size));
    const ssize_t sent = ::send(fd_.get(), piece.data(), size, MSG_NOSIGNAL);
    if (sent < 0) {
      isFull_ = errno == EAGAIN;
      isBroken_ = errno != EAGAIN && errno != EINTR;
      wasReset_ = errno == ECONNRESET;
      return isBroken_;
    }
    facts_.sent += static_cast<std::uint64_t>(sent);
    stepDone_ += static_cast<std::size_t>(sent);
    progress();
  }
  return true;
}

bool SocketPeer::isParked() const noexcept {
  if (isFinished_ || !isConnected_ || isReleased_) return false;
  const std::vector<PeerStep>& steps = facts_.plan->steps;
  return (stepIndex_ < steps.size() && steps[stepIndex_].kind == Kind::Park) ||
         (isFull_ && !isReading_);
}

void SocketPeer::release() {
  const std::vector<PeerStep>& steps = facts_.plan->steps;
  isReleased_ = true;
  progress();
  const bool goesAtOnce =
      stepIndex_ + 1 < steps.size() && steps[stepIndex_ + 1].kind == Kind::Reset;
  if (!goesAtOnce) isReading_ = true;
}

void SocketPeer::finish(bool resets) {
  leftEarly_ = end_ == End::None;
  facts_.hasFinished = true;
  if (isFiltered_) flip(received_);
  if (resets) {
    const linger now{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  fd_.reset();
  isFinished_ = true;
}

void SocketPeer::breakOff() {
  facts_.hasFinished = true;
  fd_.reset();
  isFinished_ = true;
}

PeerHistory SocketPeer::history() const {
  return {&facts_, received_, describe(), end_, leftEarly_};
}

std::string SocketPeer::describe() const {
  const std::vector<PeerStep>& steps = facts_.plan->steps;
  std::string text = "peer " + std::to_string(facts_.key) + " at " + address_.toString();
  text += isConnected_ ? "" : " (not connected)";
  if (connectError_ != 0) text += std::string(" (") + std::strerror(connectError_) + ")";
  text += ": sent " + std::to_string(facts_.sent.load());
  text += ", received " + std::to_string(received_.size());
  text += end_ == End::Fin ? ", end" : end_ == End::Reset ? ", reset" : "";
  if (stepIndex_ < steps.size()) {
    text += ", at " + std::string(stepName(steps[stepIndex_].kind));
  }
  return text + (leftEarly_ ? ", left early" : "") + (isReading_ ? "" : ", does not read");
}

}  // namespace gyre
