#include "gyre/server/Acceptor.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include "base/LogFormat.h"

namespace gyre {
namespace {

// When the kernel or the process had no memory to accept with.
constexpr std::chrono::milliseconds kRetryInterval{100};

}  // namespace

Acceptor::Acceptor(EventLoop* loop, Callbacks callbacks, Sharing sharing)
    : loop_(loop),
      callbacks_(std::move(callbacks)),
      sharing_(sharing),
      accept_(&Acceptor::handleAccept) {}

Acceptor::~Acceptor() = default;

void Acceptor::start(const std::shared_ptr<Acceptor>& acceptor, SocketHandle listener) {
  Acceptor& self = *acceptor;
  self.retry_.emplace(self.loop_, [&self] {
    if (!self.isPaused_) self.resume();
  });
  try {
    self.loop_->addResident(acceptor);
  } catch (...) {
    self.retry_.reset();
    throw;
  }
  self.listener_ = listener;
  self.resume();
}

void Acceptor::startOrClose(const std::shared_ptr<Acceptor>& acceptor,
                            SocketHandle listener) noexcept {
  try {
    start(acceptor, listener);
  } catch (const std::bad_alloc&) {
    logError("server {}: a listener was closed: its loop has no memory for it",
             acceptor->callbacks_.server);
    acceptor->failure_.store(ENOMEM, std::memory_order_release);
    acceptor->loop_->proactor().close(listener);
    acceptor->callbacks_.onClosed();
  }
}

void Acceptor::pause() noexcept {
  loop_->assertInLoopThread();
  if (std::exchange(isPaused_, true) || isClosing_) return;
  loop_->proactor().cancel(accept_);
}

// Where a cancel has not come to its end yet, its end resumes.
void Acceptor::resume() noexcept {
  loop_->assertInLoopThread();
  isPaused_ = false;
  if (isClosing_ || accept_.isInFlight()) return;
  Proactor& proactor = loop_->proactor();
  if (sharing_ == Sharing::Unshared) return proactor.accept(accept_, listener_);
  proactor.acceptShared(accept_, listener_);
}

void Acceptor::beginClose() noexcept {
  loop_->assertInLoopThread();
  if (std::exchange(isClosing_, true) || !listener_.isValid()) return;
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

void Acceptor::handleEnd(int error) noexcept {
  if (error == ECANCELED && !isClosing_) {
    if (!isPaused_) resume();
    return;
  }
  // Clients wait in the backlog meanwhile.
  if (error == ENOMEM && !isClosing_) return retry_->set(kRetryInterval);
  if (!isClosing_) {
    logError("server {}: a listener has failed: {}", callbacks_.server, std::strerror(error));
    failure_.store(error, std::memory_order_release);
  }
  isClosing_ = true;
  loop_->markDirty(*this);
}

void Acceptor::finish() noexcept {
  retry_->end();
  loop_->proactor().close(std::exchange(listener_, {}));
  loop_->removeResident(*this);
  callbacks_.onClosed();
}

}  // namespace gyre
