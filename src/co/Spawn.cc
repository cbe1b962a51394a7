#include "gyre/co/Spawn.h"

#include <new>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/loop/EventLoop.h"

namespace gyre::co {
namespace {

void logEscaped(const std::string& name, const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& thrown) {
    logError("task \"{}\" threw, and nobody joins it: {}", name, thrown.what());
  } catch (...) {
    logError("task \"{}\" threw something that is no std::exception, and nobody joins it", name);
  }
}

}  // namespace

SpawnedBase::SpawnedBase(EventLoop* loop, std::string name)
    : mailbox_(loop->mailbox()), name_(std::move(name)) {}

bool SpawnedBase::start(const RefPtr<SpawnedBase>& task) {
  const RefPtr<Mailbox>& mailbox = task->mailbox_;
  EventLoop* current = EventLoop::current();
  if (current == mailbox->loop() && current != nullptr) {
    task->startInLoop();
    return true;
  }
  if (mailbox->post([task] { task->startInLoop(); })) return true;
  task->endUnrun(std::make_exception_ptr(LoopEnded()));
  return false;
}

void SpawnedBase::startInLoop() noexcept {
  try {
    scheduler_ = &Scheduler::of(*mailbox_->loop());
  } catch (...) {
    return endUnrun(std::current_exception());
  }
  self_ = RefPtr<SpawnedBase>(this);
  promise().startFor(*this, *scheduler_, frame(), stop_);
  scheduler_->add(*this);
  scheduler_->schedule(promise());
}

void SpawnedBase::endUnrun(std::exception_ptr error) noexcept {
  destroyUnrun(error);
  const std::lock_guard lock(mutex_);
  error_ = std::move(error);
  endLocked();
}

void SpawnedBase::endLocked() noexcept {
  hasEnded_ = true;
  while (SharedWait* wait = popWait(joiners_)) wait->wakeLocked();
}

RefPtr<LoopCall> SpawnedBase::makeCancel(const RefPtr<SpawnedBase>& task) {
  return makeRef<LoopCall>([task] { task->cancelInLoop(); });
}

void SpawnedBase::cancel(const RefPtr<SpawnedBase>& task) {
  if (EventLoop::current() == task->mailbox_->loop()) return task->cancelInLoop();
  task->mailbox_->post([task] { task->cancelInLoop(); });
}

void SpawnedBase::cancelInLoop() noexcept { stop_.request(); }

std::coroutine_handle<> SpawnedBase::taskEnded(Promise& promise) noexcept {
  const RefPtr<SpawnedBase> keep = std::move(self_);
  const std::exception_ptr error = promise.error();
  keepResult();
  scheduler_->destroyLater(promise);
  scheduler_->ended(*this);
  bool isUnseen = false;
  {
    const std::lock_guard lock(mutex_);
    error_ = error;
    isUnseen = isReleased_ && joiners_.isEmpty() && error != nullptr && !isCancelled(error);
    endLocked();
  }
  if (isUnseen) {
    logEscaped(name_, error);
    scheduler_->loop().proactor().mutableCounters().callbackFailures.add();
  }
  return std::noop_coroutine();
}

void SpawnedBase::release() noexcept {
  std::exception_ptr unseen;
  {
    const std::lock_guard lock(mutex_);
    isReleased_ = true;
    if (hasEnded_ && !isTaken_ && !isCancelled(error_)) unseen = error_;
  }
  if (unseen != nullptr) logEscaped(name_, unseen);
}

bool SpawnedBase::hasEnded() const noexcept {
  const std::lock_guard lock(mutex_);
  return hasEnded_;
}

}  // namespace gyre::co
