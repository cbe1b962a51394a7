#include "gyre/net/Acceptor.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/LogFormat.h"

namespace gyre {

Acceptor::Acceptor(EventLoop* loop, Callbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)), accept_(&Acceptor::handleAccept) {}

Acceptor::~Acceptor() = default;

void Acceptor::start(const std::shared_ptr<Acceptor>& acceptor, SocketHandle listener) {
  Acceptor& self = *acceptor;
  self.listener_ = listener;
  self.loop_->addResident(acceptor);
  self.resume();
}

void Acceptor::pause() {
  if (std::exchange(isPaused_, true) || isClosing_) return;
  loop_->proactor().cancel(accept_);
}

// Where a cancel has not come to its end yet, its end resumes.
void Acceptor::resume() {
  isPaused_ = false;
  if (!isClosing_ && !accept_.isInFlight()) loop_->proactor().accept(accept_, listener_);
}

void Acceptor::beginClose() noexcept {
  if (std::exchange(isClosing_, true)) return;
  loop_->proactor().cancel(accept_);
  loop_->markDirty(*this);
}

void Acceptor::settle() noexcept {
  if (std::exchange(hasBatch_, false)) callbacks_.onBatch();
  if (isClosing_ && listener_.isValid() && !accept_.isInFlight()) finish();
}

void Acceptor::handleAccept(IoContext& context, const IoResult& result) noexcept {
  Acceptor& self = ownerOf<&Acceptor::accept_>(context);
  if (!result.more) return self.handleEnd(result.error);
  self.callbacks_.onSocket(result.socket);
  self.hasBatch_ = true;
  self.loop_->markDirty(self);
}

void Acceptor::handleEnd(int error) {
  if (error == ECANCELED && !isClosing_) {
    if (!isPaused_) resume();
    return;
  }
  if (error != ECANCELED) logError("a listener has failed: {}", std::strerror(error));
  isClosing_ = true;
  loop_->markDirty(*this);
}

void Acceptor::finish() {
  loop_->proactor().close(std::exchange(listener_, {}));
  loop_->removeResident(*this);
  callbacks_.onClosed();
}

}  // namespace gyre
