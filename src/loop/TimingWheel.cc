#include "loop/TimingWheel.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "gyre/base/Check.h"

namespace gyre {
namespace {

constexpr std::uint64_t kNoTick = ~0ULL;

}  // namespace

TimingWheel::TimingWheel(TimePoint start, Duration tick) noexcept
    : start_(start), tick_(tick), next_(kNoTick) {
  slots_.fill(kNoEntry);
}

TimingWheel::Entry TimingWheel::add(LoopResident& resident, TimePoint due, TimePoint now) {
  if (next_ == kNoTick) passed_ = std::max(passed_, ticksUntil(now));
  Entry entry = free_;
  if (entry == kNoEntry) {
    entry = static_cast<Entry>(nodes_.size());
    nodes_.emplace_back();
  } else {
    free_ = nodes_[entry].next;
  }
  nodes_[entry] = {&resident, kNoEntry, kNoEntry, kNoDeadline, kNoSlot};
  ++size_;
  link(entry, due);
  return entry;
}

void TimingWheel::move(Entry entry, TimePoint due) noexcept {
  unlink(entry);
  if (due != kForever) link(entry, due);
}

void TimingWheel::remove(Entry entry) noexcept {
  unlink(entry);
  nodes_[entry].resident = nullptr;
  nodes_[entry].next = std::exchange(free_, entry);
  --size_;
}

// How many ticks have passed.
std::uint64_t TimingWheel::ticksUntil(TimePoint now) const noexcept {
  return now <= start_ ? 0 : static_cast<std::uint64_t>((now - start_) / tick_);
}

void TimingWheel::setDeadline(Entry entry, TimePoint due) noexcept {
  Node& node = nodes_[entry];
  node.deadline =
      due == kForever ? kNoDeadline : std::min(firstTickAfter(due), kNoDeadline - 1) & kNoDeadline;
  // Asked too early is asked again: only an earlier time moves it.
  if (due == kForever || (node.slot != kNoSlot && linkedTick(node) <= node.deadline)) return;
  unlink(entry);
  link(entry, due);
}

TimePoint TimingWheel::deadline(Entry entry) const noexcept {
  const std::uint64_t tick = nodes_[entry].deadline;
  return tick == kNoDeadline ? kForever : start_ + tick_ * static_cast<std::int64_t>(tick);
}

std::uint64_t TimingWheel::firstTickAfter(TimePoint due) const noexcept {
  if (due <= start_) return 0;
  return static_cast<std::uint64_t>((due - start_ - Duration(1)) / tick_) + 1;
}

// The first tick at which `due` has passed; never one that was expired.
std::uint64_t TimingWheel::tickOf(TimePoint due) const noexcept {
  return std::clamp(firstTickAfter(due), passed_ + 1, passed_ + kSlots - 1);
}

// REQUIRES: it is in a slot, of which each stands for one tick of the turn that begins.
std::uint64_t TimingWheel::linkedTick(const Node& node) const noexcept {
  const std::uint64_t first = passed_ + 1;
  return first + (node.slot + kSlots - first % kSlots) % kSlots;
}

void TimingWheel::link(Entry entry, TimePoint due) noexcept {
  const std::uint64_t tick = tickOf(due);
  const auto slot = static_cast<std::uint32_t>(tick % kSlots);
  Node& node = nodes_[entry];
  node.slot = slot & 0xffff;
  node.previous = kNoEntry;
  node.next = std::exchange(slots_[slot], entry);
  if (node.next != kNoEntry) nodes_[node.next].previous = entry;
  occupied_[slot / 64] |= 1ULL << (slot % 64);
  next_ = std::min(next_, tick);
}

void TimingWheel::unlink(Entry entry) noexcept {
  Node& node = nodes_[entry];
  if (node.slot == kNoSlot) return;
  const auto slot = static_cast<std::uint32_t>(node.slot);
  node.slot = kNoSlot;
  if (node.next != kNoEntry) nodes_[node.next].previous = node.previous;
  (node.previous == kNoEntry ? slots_[slot] : nodes_[node.previous].next) = node.next;
  if (slots_[slot] == kNoEntry) occupied_[slot / 64] &= ~(1ULL << (slot % 64));
}

void TimingWheel::advance(TimePoint now) {
  if (now < nextDue()) return;
  const std::uint64_t reached = ticksUntil(now);
  // After a long pause each slot once is enough: what it holds is no further off than a turn.
  const std::uint64_t last = std::min(reached, next_ + kSlots - 1);
  const std::uint64_t first = std::exchange(next_, kNoTick);
  passed_ = reached;
  for (std::uint64_t tick = first; tick <= last; ++tick) {
    expireSlot(static_cast<std::uint32_t>(tick % kSlots), now);
  }
  next_ = findNext();
}

void TimingWheel::expireSlot(std::uint32_t slot, TimePoint now) {
  // Taken off as a whole: whoever is linked into this slot meanwhile is due a turn later.
  Entry entry = std::exchange(slots_[slot], kNoEntry);
  occupied_[slot / 64] &= ~(1ULL << (slot % 64));
  for (Entry each = entry; each != kNoEntry; each = nodes_[each].next) nodes_[each].slot = kNoSlot;
  while (entry != kNoEntry) {
    const Entry next = nodes_[entry].next;
    LoopResident* resident = nodes_[entry].resident;
    GYRE_CHECK(resident != nullptr, "a timeout was removed while others were asked");
    const TimePoint due = resident->checkTimeouts(now);
    if (due != kForever) link(entry, due);
    entry = next;
  }
}

// Looks at the occupied slots in the order of their ticks, from the one after passed_.
std::uint64_t TimingWheel::findNext() const noexcept {
  const std::uint64_t first = passed_ + 1;
  for (std::uint64_t ahead = 0; ahead < kSlots;) {
    const auto slot = static_cast<std::uint32_t>((first + ahead) % kSlots);
    const std::uint64_t word = occupied_[slot / 64] >> (slot % 64);
    if (word != 0) return first + ahead + static_cast<std::uint64_t>(std::countr_zero(word));
    ahead += 64 - slot % 64;
  }
  return kNoTick;
}

TimePoint TimingWheel::nextDue() const noexcept {
  return next_ == kNoTick ? kForever : start_ + tick_ * static_cast<std::int64_t>(next_);
}

}  // namespace gyre
