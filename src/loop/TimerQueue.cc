#include "loop/TimerQueue.h"

#include <algorithm>

#include "gyre/base/Check.h"

namespace gyre {
namespace {

template <typename Entry>
bool isEarlier(const Entry& a, const Entry& b) noexcept {
  return a.due != b.due ? a.due < b.due : a.id < b.id;
}

}  // namespace

void TimerQueue::add(Timer timer) {
  timer.due = std::max(timer.due, earliest_);
  const Entry entry{timer.due, timer.id.value()};
  GYRE_CHECK(timer.id.isValid() && !stored_.contains(entry.id), "a timer needs an id of its own");
  const auto position =
      stored_.emplace(entry.id, Stored{0, lastOrder_ + 1, std::move(timer)}).first;
  try {
    heap_.push_back(entry);
  } catch (...) {
    stored_.erase(position);
    throw;
  }
  ++lastOrder_;
  siftUp(heap_.size() - 1, entry);
}

void TimerQueue::cancel(TimerId id) {
  for (Running* running = running_; running != nullptr; running = running->outer) {
    if (running->id == id.value()) running->id = 0;
  }
  const auto found = stored_.find(id.value());
  // Destroyed after it was taken out: what the callback captured may cancel or add timers.
  if (found != stored_.end()) const Timer cancelled = extract(found->second.position);
}

bool TimerQueue::takeDue(TimePoint now, std::uint64_t lastOrder, Timer& timer) {
  if (heap_.empty() || heap_.front().due > now) return false;
  if (stored_.find(heap_.front().id)->second.order > lastOrder) return false;
  timer = extract(0);
  return true;
}

void TimerQueue::putBack(Timer timer, TimePoint now) {
  const auto intervals = (now - timer.due) / timer.interval + 1;
  timer.due += timer.interval * intervals;
  add(std::move(timer));
}

TimerQueue::Timer TimerQueue::extract(std::size_t position) {
  const auto found = stored_.find(heap_[position].id);
  Timer timer = std::move(found->second.timer);
  stored_.erase(found);
  const Entry last = heap_.back();
  heap_.pop_back();
  if (position == heap_.size()) return timer;
  if (position > 0 && isEarlier(last, heap_[(position - 1) / 2])) {
    siftUp(position, last);
  } else {
    siftDown(position, last);
  }
  return timer;
}

void TimerQueue::place(std::size_t position, const Entry& entry) {
  heap_[position] = entry;
  stored_.find(entry.id)->second.position = position;
}

void TimerQueue::siftUp(std::size_t position, Entry entry) {
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (!isEarlier(entry, heap_[parent])) break;
    place(position, Entry(heap_[parent]));
    position = parent;
  }
  place(position, entry);
}

void TimerQueue::siftDown(std::size_t position, Entry entry) {
  for (std::size_t child = 2 * position + 1; child < heap_.size(); child = 2 * position + 1) {
    if (child + 1 < heap_.size() && isEarlier(heap_[child + 1], heap_[child])) ++child;
    if (!isEarlier(heap_[child], entry)) break;
    place(position, Entry(heap_[child]));
    position = child;
  }
  place(position, entry);
}

}  // namespace gyre
