#include "gyre/co/Scheduler.h"

#include <utility>

#include "gyre/base/Check.h"

namespace gyre::co {
namespace {

// A thread has one loop, or steps a few of them (a simulation).
thread_local Scheduler* firstOfThread = nullptr;

}  // namespace

std::coroutine_handle<> Promise::end() noexcept {
  if (completion_ != nullptr) {
    Scheduler& scheduler = *scheduler_;  // the frame may be gone when the call returns
    return scheduler.transfer(completion_->taskEnded(*this));
  }
  return scheduler_->transfer(waiting_);
}

// --- Wakes from other threads

ScheduledWakes::ScheduledWakes(Scheduler& scheduler)
    : mailbox_(scheduler.loop().mailbox()),
      take_(makeRef<LoopCall>([&scheduler] { scheduler.takeForeign(); })) {}

void ScheduledWakes::put(Wake& wake) noexcept {
  const std::lock_guard lock(mutex_);
  // Its coroutine would have ended with the loop.
  GYRE_CHECK(!hasEnded_, "a coroutine was woken after the end of its loop");
  wakes_.append(wake);
  mailbox_->post(*take_);
}

void ScheduledWakes::withdraw(Wake& wake) noexcept {
  const std::lock_guard lock(mutex_);
  wake.unlink();
}

// --- The scheduler

Scheduler::Scheduler(EventLoop& loop) : loop_(loop), wakes_(makeRef<ScheduledWakes>(*this)) {
  beginKeepingFrames();
}

Scheduler::~Scheduler() {
  GYRE_CHECK(tasks_.isEmpty() && ready_.isEmpty(), "a loop ended before its coroutines");
  endKeepingFrames();
}

Scheduler& Scheduler::of(EventLoop& loop) {
  loop.assertInLoopThread();
  for (Scheduler* each = firstOfThread; each != nullptr; each = each->next_) {
    if (&each->loop_ == &loop) return *each;
  }
  auto made = std::make_shared<Scheduler>(loop);
  loop.addResident(made);
  made->isRegistered_ = true;
  made->next_ = std::exchange(firstOfThread, made.get());
  return *made;
}

void Scheduler::run(std::coroutine_handle<> coroutine) noexcept {
  const int outerTransfers = std::exchange(transfers_, 0);
  const std::coroutine_handle<> outerBounced = std::exchange(bounced_, nullptr);
  ++depth_;
  while (coroutine != nullptr) {
    coroutine.resume();
    coroutine = std::exchange(bounced_, nullptr);
    transfers_ = 0;
  }
  --depth_;
  transfers_ = outerTransfers;
  bounced_ = outerBounced;
  if (depth_ != 0) return;
  // What a frame still holds may let another one end.
  while (Wake* ended = dying_.pop()) ended->coroutine().destroy();
}

void Scheduler::schedule(Wake& wake) noexcept {
  ready_.append(wake);
  loop_.markDirty(*this);
}

void Scheduler::add(RootTask& task) noexcept {
  tasks_.append(task);
  if (isClosing_) task.cancelInLoop();
}

void Scheduler::ended(RootTask& task) noexcept {
  task.unlink();
  endIfIdle();
}

void Scheduler::beginClose() noexcept {
  isClosing_ = true;
  tasks_.forEach([](RootTask& task) { task.cancelInLoop(); });
  endIfIdle();
}

// Each of those that were ready has one turn; what becomes ready meanwhile waits for the next.
void Scheduler::settle() noexcept {
  turn_.takeAll(ready_);
  while (Wake* wake = turn_.pop()) run(wake->coroutine());
  endIfIdle();
}

void Scheduler::takeForeign() noexcept {
  const std::lock_guard lock(wakes_->mutex_);
  ready_.takeAll(wakes_->wakes_);
  loop_.markDirty(*this);
}

// Not while a coroutine runs: it may spawn another task.
void Scheduler::endIfIdle() noexcept {
  if (!isClosing_ || !isRegistered_ || depth_ != 0 || !tasks_.isEmpty()) return;
  isRegistered_ = false;
  Scheduler** link = &firstOfThread;
  while (*link != this) link = &(*link)->next_;
  *link = next_;
  {
    const std::lock_guard lock(wakes_->mutex_);
    wakes_->hasEnded_ = true;
  }
  wakes_->take_->disarm();
  loop_.removeResident(*this);
  loop_.wakeup();  // a loop that ends waits for this
}

}  // namespace gyre::co
