#include "names/ResolverSocket.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/LogFormat.h"

namespace gyre {

std::shared_ptr<ResolverSocket> ResolverSocket::open(EventLoop* loop, int fd, Ready ready) {
  auto socket = std::make_shared<ResolverSocket>(loop, fd, std::move(ready));
  loop->addResident(socket);
  return socket;
}

ResolverSocket::ResolverSocket(EventLoop* loop, int fd, Ready ready)
    : loop_(loop),
      handle_(loop->proactor().adopt(fd)),
      ready_(std::move(ready)),
      poll_(&ResolverSocket::handlePoll) {}

ResolverSocket::~ResolverSocket() = default;

void ResolverSocket::watch(std::uint32_t events) {
  wanted_ = events;
  update();
}

void ResolverSocket::release() {
  isReleased_ = true;
  wanted_ = 0;
  if (!poll_.isInFlight()) return close();
  update();
}

void ResolverSocket::update() {
  if (!poll_.isInFlight()) {
    if (wanted_ == 0) return;
    polled_ = wanted_;
    loop_->proactor().poll(poll_, handle_, wanted_);
  } else if (wanted_ != polled_) {
    loop_->proactor().cancel(poll_);
  }
}

void ResolverSocket::close() {
  loop_->proactor().close(handle_);
  loop_->removeResident(*this);
}

void ResolverSocket::handlePoll(IoContext& context, const IoResult& result) noexcept {
  ResolverSocket& self = ownerOf<&ResolverSocket::poll_>(context);
  if (self.isReleased_) return self.close();
  if (result.error != 0 && result.error != ECANCELED) {
    // The query has its timeout.
    logWarn("a name server's socket cannot be watched: {}", std::strerror(result.error));
    self.wanted_ = 0;
  } else if (result.error == 0) {
    self.ready_(self.fd(), result.events);
  }
  // It may have been released meanwhile; then nothing is wanted.
  self.update();
}

}  // namespace gyre
