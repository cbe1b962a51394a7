#include "loop/TimerQueue.h"

#include <algorithm>
#include <utility>

#include "gyre/base/Check.h"

namespace gyre {
namespace {

template <typename Entry>
bool isEarlier(const Entry& a, const Entry& b) noexcept {
  return a.due != b.due ? a.due < b.due : a.id < b.id;
}

}  // namespace

void TimerQueue::addIdle(TimerId id, Functor callback) {
  store({id, {}, {}, std::move(callback)}, true);
}

TimerQueue::Stored& TimerQueue::store(Timer&& timer, bool isIdle) {
  const std::uint64_t id = timer.id.value();
  if (heap_.capacity() <= stored_.size()) heap_.reserve(stored_.size() * 2 + 16);
  // The timer moves once there is nothing left that may throw.
  const auto [place, isNew] = stored_.try_emplace(id);
  GYRE_CHECK(timer.id.isValid() && isNew, "a timer needs an id of its own");
  Stored& stored = place->second;
  stored.timer = std::move(timer);
  stored.isIdle = isIdle;
  return stored;
}

void TimerQueue::push(Stored& stored) noexcept {
  stored.timer.due = std::max(stored.timer.due, earliest_);
  stored.order = ++lastOrder_;
  const Entry entry{stored.timer.due, stored.timer.id.value(), &stored};
  heap_.push_back(entry);
  siftUp(heap_.size() - 1, entry);
}

void TimerQueue::set(TimerId id, TimePoint due) noexcept {
  const auto found = stored_.find(id.value());
  GYRE_CHECK(found != stored_.end() && found->second.isIdle, "a timer was set that was not added");
  if (found->second.position != kNowhere) pull(found->second);
  found->second.timer.due = due;
  push(found->second);
}

void TimerQueue::unset(TimerId id) noexcept {
  const auto found = stored_.find(id.value());
  GYRE_CHECK(found != stored_.end() && found->second.isIdle,
             "a timer was unset that was not added");
  if (found->second.position != kNowhere) pull(found->second);
}

void TimerQueue::cancel(TimerId id) noexcept {
  const auto found = stored_.find(id.value());
  if (found == stored_.end()) return;
  Stored& stored = found->second;
  if (stored.position != kNowhere) pull(stored);
  for (Running* running = running_; running != nullptr; running = running->outer) {
    if (running->stored == &stored) running->isCancelled = true;
  }
  if (!isRunning(stored)) erase(stored);
}

bool TimerQueue::isRunning(const Stored& stored) const noexcept {
  const Running* running = running_;
  while (running != nullptr && running->stored != &stored) running = running->outer;
  return running != nullptr;
}

TimerQueue::Stored* TimerQueue::takeDue(TimePoint now, std::uint64_t lastOrder) noexcept {
  if (heap_.empty() || heap_.front().due > now) return nullptr;
  Stored& stored = *heap_.front().stored;
  if (stored.order > lastOrder) return nullptr;
  pull(stored);
  return &stored;
}

void TimerQueue::finish(const Running& running, TimePoint now) noexcept {
  Stored& stored = *running.stored;
  Timer& timer = stored.timer;
  const bool repeats = timer.interval > Duration::zero();
  if (running.isCancelled || (!repeats && !stored.isIdle)) {
    if (!isRunning(stored)) erase(stored);
  } else if (repeats) {
    timer.due += timer.interval * ((now - timer.due) / timer.interval + 1);
    push(stored);
  }
}

// Destroyed after it was taken out: what the callback captured may cancel or add timers.
void TimerQueue::erase(const Stored& stored) noexcept {
  const auto ending = stored_.extract(stored.timer.id.value());
}

void TimerQueue::pull(Stored& stored) noexcept {
  const std::size_t position = std::exchange(stored.position, kNowhere);
  const Entry last = heap_.back();
  heap_.pop_back();
  if (position == heap_.size()) return;
  if (position > 0 && isEarlier(last, heap_[(position - 1) / 2])) {
    siftUp(position, last);
  } else {
    siftDown(position, last);
  }
}

void TimerQueue::place(std::size_t position, const Entry& entry) noexcept {
  heap_[position] = entry;
  entry.stored->position = position;
}

void TimerQueue::siftUp(std::size_t position, Entry entry) noexcept {
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (!isEarlier(entry, heap_[parent])) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, entry);
}

void TimerQueue::siftDown(std::size_t position, Entry entry) noexcept {
  for (std::size_t child = 2 * position + 1; child < heap_.size(); child = 2 * position + 1) {
    if (child + 1 < heap_.size() && isEarlier(heap_[child + 1], heap_[child])) ++child;
    if (!isEarlier(heap_[child], entry)) break;
    place(position, heap_[child]);
    position = child;
  }
  place(position, entry);
}

}  // namespace gyre
