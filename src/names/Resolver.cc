#include "gyre/names/Resolver.h"

#include <utility>

#include "names/ResolverCore.h"

namespace gyre {
Resolver::Resolver(EventLoop* loop, const ResolverOptions& options)
    : core_(ResolverCore::make(loop, options)) {}

Resolver::~Resolver() {
  core_->loop()->assertInLoopThread();
  core_->end();
}

ResolveId Resolver::resolve(const HostPort& name, ResolveCallback callback) {
  return core_->resolve(name, std::move(callback), ResolveMode::Once);
}

ResolveId Resolver::resolveEach(const HostPort& name, ResolveCallback callback) {
  return core_->resolve(name, std::move(callback), ResolveMode::Each);
}

void Resolver::cancel(ResolveId query) {
  core_->loop()->assertInLoopThread();
  core_->cancel(query);
}

std::size_t Resolver::pendingCount() const {
  core_->loop()->assertInLoopThread();
  return core_->pendingCount();
}

EventLoop* Resolver::getLoop() const noexcept { return core_->loop(); }

}  // namespace gyre
