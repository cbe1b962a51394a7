// TimingWheel: when residents want to look at their timeouts, exact to one tick.
//
// Adding, moving, removing and coming due cost the same however many there are. A resident is not
// moved when it has been active: it says when it is asked. So timeouts cost nothing per message.
// A time further off than a turn of the wheel is asked about once per turn.
//
// It is data: it is told the time.
//
// Thread  The loop's.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "gyre/loop/LoopResident.h"

namespace gyre {

class TimingWheel {
 public:
  using Entry = std::uint32_t;
  static constexpr Entry kNoEntry = ~0U;

  TimingWheel(TimePoint start, Duration tick) noexcept;

  // May throw std::bad_alloc.
  Entry add(LoopResident& resident, TimePoint due, TimePoint now);
  // kForever: not before it is moved again.
  void move(Entry entry, TimePoint due) noexcept;
  void remove(Entry entry) noexcept;
  // A time that the resident counts in when it answers. It is asked then, or before, unless it is
  // moved meanwhile. kForever: none.
  void setDeadline(Entry entry, TimePoint due) noexcept;
  // To the tick; kForever without one.
  TimePoint deadline(Entry entry) const noexcept;

  // Asks every resident whose time has come for its next one: LoopResident::checkTimeouts. Each at
  // most once.
  void advance(TimePoint now);
  // A tick before which nothing is due.
  TimePoint nextDue() const noexcept;
  std::size_t size() const noexcept { return size_; }
  Duration tick() const noexcept { return tick_; }

 private:
  static constexpr std::uint32_t kSlots = 1024;  // a turn: 102 s of 100 ms
  static constexpr std::uint32_t kNoSlot = kSlots;
  static constexpr std::uint64_t kNoDeadline = (1ULL << 48) - 1;

  struct Node {
    LoopResident* resident;
    Entry next;
    Entry previous;               // kNoEntry: the first of its slot
    std::uint64_t deadline : 48;  // a tick
    std::uint64_t slot : 16;
  };
  static_assert(sizeof(Node) == 24);

  std::uint64_t ticksUntil(TimePoint now) const noexcept;
  std::uint64_t firstTickAfter(TimePoint due) const noexcept;
  std::uint64_t tickOf(TimePoint due) const noexcept;
  std::uint64_t linkedTick(const Node& node) const noexcept;
  void link(Entry entry, TimePoint due) noexcept;
  void unlink(Entry entry) noexcept;
  void expireSlot(std::uint32_t slot, TimePoint now);
  std::uint64_t findNext() const noexcept;

  const TimePoint start_;
  const Duration tick_;
  std::uint64_t passed_ = 0;  // ticks that were expired
  std::uint64_t next_;        // no slot before this tick holds an entry
  std::size_t size_ = 0;
  Entry free_ = kNoEntry;
  std::vector<Node> nodes_;
  std::array<Entry, kSlots> slots_;
  std::array<std::uint64_t, kSlots / 64> occupied_{};  // a bit per slot
};

}  // namespace gyre
