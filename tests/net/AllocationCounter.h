// AllocationCounter: how often the calling thread has asked for heap memory (malloc, and all that
// is built on it, operator new included), and how it is refused some.
//
// It replaces malloc in this test program. Absent under sanitizers, which replace it themselves.
#pragma once

#include <cstddef>

namespace gyre {

std::size_t allocationsOfThisThread() noexcept;
// A malloc of this thread finds no memory: the next one after so many.
void refuseAllocation(std::size_t after) noexcept;

}  // namespace gyre
