#include "gyre/net/Acceptor.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/LogFormat.h"

namespace gyre {

Acceptor::Acceptor(EventLoop* loop, Callbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)), accept_(&Acceptor::handleAccept) {}

Acceptor::~Acceptor() = default;

void Acceptor::listen(const std::shared_ptr<Acceptor>& acceptor, const InetAddress& address,
                      const ListenOptions& options) {
  Acceptor& self = *acceptor;
  self.listener_ = self.loop_->proactor().listen(address, options);
  self.address_ = self.loop_->proactor().localAddress(self.listener_);
  self.loop_->addResident(acceptor);
  self.loop_->proactor().accept(self.accept_, self.listener_);
}

void Acceptor::beginClose() { loop_->proactor().cancel(accept_); }

void Acceptor::settle() {
  if (std::exchange(hasBatch_, false)) callbacks_.onBatch();
}

void Acceptor::handleAccept(IoContext& context, const IoResult& result) {
  Acceptor& self = ownerOf<&Acceptor::accept_>(context);
  if (!result.more) return self.finish(result.error);
  self.callbacks_.onSocket(result.socket);
  self.hasBatch_ = true;
  self.loop_->markDirty(self);
}

void Acceptor::finish(int error) {
  if (error != ECANCELED) {
    logError("listening on {} has ended: {}", address_.toString(), std::strerror(error));
  }
  loop_->proactor().close(listener_);
  if (std::exchange(hasBatch_, false)) callbacks_.onBatch();
  loop_->removeResident(*this);
  callbacks_.onClosed();
}

}  // namespace gyre
