// AllocationCounter: how often heap memory is asked for (malloc, and all that is built on it,
// operator new included), and how it is refused.
//
// It replaces malloc in this test program; under sanitizers, which replace it themselves, operator
// new, and nothing is counted by thread.
#pragma once

#include <cstddef>

namespace gyre {

std::size_t allocationsOfThisThread() noexcept;
// A malloc of this thread finds no memory: the next one after so many.
void refuseAllocation(std::size_t after) noexcept;

// Between begin() and end() the allocations of all threads are numbered, and `width` of them find
// no memory, from number `first` on, which counts from 0. At most one at a time.
class RefusedAllocations {
 public:
  RefusedAllocations(std::size_t first, std::size_t width) noexcept
      : first_(first), width_(width) {}
  RefusedAllocations(const RefusedAllocations&) = delete;
  RefusedAllocations& operator=(const RefusedAllocations&) = delete;
  ~RefusedAllocations() { end(); }

  void begin() noexcept;
  void end() noexcept;
  // How many were asked for between them.
  std::size_t count() const noexcept;

 private:
  const std::size_t first_;
  const std::size_t width_;
};

// While it lives, what the calling thread asks for is neither numbered nor refused: it is the
// test's own.
class AllocationsExempt {
 public:
  AllocationsExempt() noexcept;
  AllocationsExempt(const AllocationsExempt&) = delete;
  AllocationsExempt& operator=(const AllocationsExempt&) = delete;
  ~AllocationsExempt();
};

// Takes the exemption of the calling thread back for a while: what is tested has its turn.
class AllocationsSubject {
 public:
  AllocationsSubject() noexcept;
  AllocationsSubject(const AllocationsSubject&) = delete;
  AllocationsSubject& operator=(const AllocationsSubject&) = delete;
  ~AllocationsSubject();

 private:
  const int exemptions_;
};

}  // namespace gyre
