// AllocationCounter: how often the calling thread has asked for heap memory: malloc, and all that
// is built on it, operator new included.
//
// It replaces malloc in this test program. Absent under sanitizers, which replace it themselves.
#pragma once

#include <cstddef>

namespace gyre {

std::size_t allocationsOfThisThread() noexcept;

}  // namespace gyre
