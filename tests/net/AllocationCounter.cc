#include "net/AllocationCounter.h"

#include "support/Sanitizers.h"

#ifndef GYRE_TEST_SANITIZED

#include <malloc.h>

#include <cerrno>
#include <cstdlib>

namespace gyre {
namespace {

// Trivial and of the program itself: reading it never allocates.
thread_local std::size_t allocations = 0;
thread_local std::size_t allocationsLeft = 0;  // until one is refused; 0: none is

}  // namespace

std::size_t allocationsOfThisThread() noexcept { return allocations; }
void refuseAllocation(std::size_t after) noexcept { allocationsLeft = after + 1; }

}  // namespace gyre

// glibc's own, by the names it keeps for whoever replaces the public ones.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  ++gyre::allocations;
  if (gyre::allocationsLeft != 0 && --gyre::allocationsLeft == 0) {
    errno = ENOMEM;
    return nullptr;
  }
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  ++gyre::allocations;
  return __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) noexcept {
  ++gyre::allocations;
  return __libc_realloc(memory, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  ++gyre::allocations;
  return __libc_memalign(alignment, size);
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  ++gyre::allocations;
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  ++gyre::allocations;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}

}  // extern "C"

#endif
