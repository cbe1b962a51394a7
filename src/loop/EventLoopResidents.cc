// What lives on a loop: its residents, and their timeouts.
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "gyre/base/Check.h"
#include "gyre/loop/EventLoop.h"
#include "loop/DirtyQueue.h"
#include "loop/ResidentRegistry.h"
#include "loop/TimingWheel.h"

namespace gyre {

// --- Residents

void EventLoop::addResident(std::shared_ptr<LoopResident> resident) {
  assertInLoopThread();
  // Room for all of them, those that wait to be let go of included, so that markDirty() never needs
  // memory.
  dirty_->reserve(residents_->places() + 1);
  residents_->add(std::move(resident));
}

void EventLoop::removeResident(LoopResident& resident) noexcept {
  assertInLoopThread();
  residents_->remove(resident);
  // So that it is let go of before the loop waits.
  markDirty(resident);
}

void EventLoop::markDirty(LoopResident& resident) noexcept {
  if (resident.isDirty_) return;
  dirty_->push(resident);
  resident.isDirty_ = true;
}

std::size_t EventLoop::residentCount() const noexcept { return residents_->size(); }

std::size_t EventLoop::residentCount(const void* group) const noexcept {
  return residents_->sizeOf(group);
}

void EventLoop::visitResidents(const void* group, const std::function<void(LoopResident&)>& visit) {
  assertInLoopThread();
  residents_->visit(group, visit);
}

void EventLoop::closeResidents(const void* group) noexcept {
  assertInLoopThread();
  residents_->beginClose(group);
}

// --- Timeouts of residents

void EventLoop::setTimeoutTick(TimeSpan tick) {
  assertInLoopThread();
  if (tick < std::chrono::milliseconds(1) || tick > std::chrono::hours(1)) {
    throw std::system_error(EINVAL, std::generic_category(),
                            "gyre: a timeout tick of " +
                                std::to_string(tick.milliseconds().count()) +
                                " ms; use 1 ms to 1 h");
  }
  GYRE_CHECK(wheel_ == nullptr || wheel_->size() == 0,
             "the timeout tick was changed while connections have timeouts");
  wheel_.reset();
  timeoutTick_ = tick;
}

std::uint32_t EventLoop::addTimeout(LoopResident& resident, TimePoint due) {
  assertInLoopThread();
  if (wheel_ == nullptr) wheel_ = std::make_unique<TimingWheel>(now(), timeoutTick_);
  return wheel_->add(resident, due, now());
}

void EventLoop::moveTimeout(std::uint32_t entry, TimePoint due) noexcept {
  wheel_->move(entry, due);
}

void EventLoop::removeTimeout(std::uint32_t entry) noexcept { wheel_->remove(entry); }

void EventLoop::setTimeoutDeadline(std::uint32_t entry, TimePoint due) noexcept {
  wheel_->setDeadline(entry, due);
}

TimePoint EventLoop::timeoutDeadline(std::uint32_t entry) const noexcept {
  return wheel_->deadline(entry);
}

}  // namespace gyre
