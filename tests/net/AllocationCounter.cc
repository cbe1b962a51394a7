#include "net/AllocationCounter.h"

#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <utility>

#include "support/Sanitizers.h"

namespace gyre {
namespace {

// Trivial and of the program itself: reading them never allocates.
thread_local std::size_t allocations = 0;
thread_local std::size_t allocationsLeft = 0;  // until one is refused; 0: none is
thread_local int exemptions = 0;
std::atomic<bool> isNumbering{false};
std::atomic<std::size_t> numbered{0};
std::atomic<std::size_t> refusedFirst{0};
std::atomic<std::size_t> refusedWidth{0};

// True when this one is to find no memory.
bool isRefused() noexcept {
  ++allocations;
  if (allocationsLeft != 0 && --allocationsLeft == 0) return true;
  if (!isNumbering.load(std::memory_order_acquire) || exemptions != 0) return false;
  return numbered.fetch_add(1) - refusedFirst.load() < refusedWidth.load();
}

}  // namespace

std::size_t allocationsOfThisThread() noexcept { return allocations; }
void refuseAllocation(std::size_t after) noexcept { allocationsLeft = after + 1; }

void RefusedAllocations::begin() noexcept {
  numbered = 0;
  refusedFirst = first_;
  refusedWidth = width_;
  isNumbering.store(true, std::memory_order_release);
}

void RefusedAllocations::end() noexcept { isNumbering = false; }
std::size_t RefusedAllocations::count() const noexcept { return numbered; }

AllocationsExempt::AllocationsExempt() noexcept { ++exemptions; }
AllocationsExempt::~AllocationsExempt() { --exemptions; }

AllocationsSubject::AllocationsSubject() noexcept : exemptions_(std::exchange(exemptions, 0)) {}
AllocationsSubject::~AllocationsSubject() { exemptions = exemptions_; }

}  // namespace gyre

#ifdef GYRE_TEST_SANITIZED

void* operator new(std::size_t size) {
  if (gyre::isRefused()) throw std::bad_alloc();
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

#else

// glibc's own, by the names it keeps for whoever replaces the public ones.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  if (!gyre::isRefused()) return __libc_malloc(size);
  errno = ENOMEM;
  return nullptr;
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  if (!gyre::isRefused()) return __libc_calloc(count, size);
  errno = ENOMEM;
  return nullptr;
}

void* realloc(void* memory, std::size_t size) noexcept {
  if (!gyre::isRefused()) return __libc_realloc(memory, size);
  errno = ENOMEM;
  return nullptr;
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  if (!gyre::isRefused()) return __libc_memalign(alignment, size);
  errno = ENOMEM;
  return nullptr;
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return memalign(alignment, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  void* made = memalign(alignment, size);
  if (made == nullptr) return ENOMEM;
  *memory = made;
  return 0;
}

}  // extern "C"

#endif
