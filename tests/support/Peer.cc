#include "support/Peer.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "support/LoopFixture.h"

namespace gyre {
namespace {

constexpr int kPollMilliseconds = 10;
// Without a byte taken in that many waits the other side has stopped reading.
constexpr int kStalledWaits = 30;
constexpr std::size_t kPiece = 64 * 1024;

// Gives up when nothing has moved for kPatience.
class Progress {
 public:
  // False when the time is over.
  bool isExpected(std::size_t done) {
    const auto now = std::chrono::steady_clock::now();
    if (done != done_) {
      done_ = done;
      since_ = now;
    }
    if (now - since_ < kPatience) return true;
    ADD_FAILURE() << "a peer got stuck after " << done << " bytes";
    return false;
  }

 private:
  std::size_t done_ = 0;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace

Peer::Peer(const InetAddress& server, Pump pump, int receiveBuffer)
    : fd_(::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)), pump_(std::move(pump)) {
  if (receiveBuffer > 0) {
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receiveBuffer, sizeof receiveBuffer);
  }
  // What the script says in two calls is to arrive as said.
  const int on = 1;
  if (!server.isUnix()) ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd_.get(), server.sockaddrPtr(), server.length()) == 0) return;
  error_ = errno;
  ADD_FAILURE() << "cannot connect to " << server.toString() << ": " << std::strerror(error_);
}

void Peer::waitFor(short events) const {
  if (pump_) return pump_();
  pollfd one{fd_.get(), events, 0};
  ::poll(&one, 1, kPollMilliseconds);
}

std::size_t Peer::sendSome(std::string_view bytes) {
  if (bytes.empty()) return 0;
  const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) error_ = errno;
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

std::size_t Peer::receiveSome(std::span<char> into) {
  if (into.empty()) return 0;  // recv would answer 0, as at the end of the stream
  const ssize_t got = ::recv(fd_.get(), into.data(), into.size(), MSG_DONTWAIT);
  if (got == 0) hasEnded_ = true;
  if (got < 0 && errno != EAGAIN && errno != EINTR) error_ = errno;
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

bool Peer::send(std::string_view bytes) {
  const std::size_t size = bytes.size();
  Progress progress;
  while (true) {
    bytes.remove_prefix(sendSome(bytes));
    if (bytes.empty() || error_ != 0) return bytes.empty();
    if (!progress.isExpected(size - bytes.size())) return false;
    waitFor(POLLOUT);
  }
}

void Peer::receiveUpTo(std::size_t size, std::string& into) {
  Progress progress;
  while (into.size() < size && !isOver()) {
    const std::size_t before = into.size();
    into.resize(before + std::min(kPiece, size - before));
    const std::size_t got = receiveSome(std::span(into).subspan(before));
    into.resize(before + got);
    if (got != 0 || isOver()) continue;
    if (!progress.isExpected(before)) return;
    waitFor(POLLIN);
  }
}

std::string Peer::receive(std::size_t size) {
  std::string bytes;
  receiveUpTo(size, bytes);
  return bytes;
}

std::string Peer::receiveToEnd() {
  std::string bytes;
  receiveUpTo(std::string::npos, bytes);
  return bytes;
}

std::size_t Peer::sendUntilStalled(std::string_view bytes) {
  std::size_t done = 0;
  for (int waits = 0; waits < kStalledWaits && done < bytes.size() && error_ == 0;) {
    const std::size_t sent = sendSome(bytes.substr(done));
    done += sent;
    if (sent != 0) {
      waits = 0;
    } else {
      waitFor(POLLOUT);
      ++waits;
    }
  }
  return done;
}

void Peer::sendUrgent(char byte) { ::send(fd_.get(), &byte, 1, MSG_OOB | MSG_NOSIGNAL); }

void Peer::halfClose() { ::shutdown(fd_.get(), SHUT_WR); }

void Peer::reset() {
  const linger zero{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &zero, sizeof zero);
  fd_.reset();
}

InetAddress Peer::address() const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(fd_.get(), address, &length) != 0) return InetAddress();
  return InetAddress::fromSockaddr(address, length);
}

// --- EchoDialogue

bool EchoDialogue::step(std::size_t receiveLimit) {
  if (peer_->hasEnded() || peer_->error() != 0 || !isIntact_ || isComplete()) return false;
  sent_ += peer_->sendSome(text_.substr(sent_, kPiece));
  char piece[kPiece];
  const std::size_t limit = std::min({receiveLimit, kPiece, text_.size() - received_});
  const std::size_t got = peer_->receiveSome({piece, limit});
  isIntact_ = text_.compare(received_, got, piece, got) == 0;
  received_ += got;
  return isIntact_ && received_ < text_.size();
}

std::size_t holdDialogues(std::span<EchoDialogue> dialogues, const Peer::Pump& pump) {
  Progress progress;
  std::vector<EchoDialogue*> open;
  for (EchoDialogue& dialogue : dialogues) open.push_back(&dialogue);
  while (!open.empty()) {
    std::erase_if(open, [](EchoDialogue* dialogue) { return !dialogue->step(); });
    std::size_t done = 0;
    for (const EchoDialogue& dialogue : dialogues) done += dialogue.received();
    if (!progress.isExpected(done)) break;
    if (!open.empty()) pump();
  }
  const auto isComplete = [](const EchoDialogue& dialogue) { return dialogue.isComplete(); };
  return static_cast<std::size_t>(std::count_if(dialogues.begin(), dialogues.end(), isComplete));
}

std::size_t countEchoed(std::span<Peer> peers, std::string_view text, const Peer::Pump& pump) {
  std::vector<EchoDialogue> dialogues;
  for (Peer& peer : peers) dialogues.emplace_back(peer, text);
  return holdDialogues(dialogues, pump);
}

}  // namespace gyre
