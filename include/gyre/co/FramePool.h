// FramePool: memory of coroutine frames and of what belongs to them, kept for reuse by each thread.
//
// The compilers allocate every frame on the heap; a server that awaits a task per message would pay
// for it each time. A thread keeps memory while a Scheduler lives on it. Memory may be given back
// on another thread than it was taken on.
#pragma once

#include <cstddef>

#include "gyre/base/Export.h"

namespace gyre::co {

// Throws std::bad_alloc.
GYRE_API void* allocateFrame(std::size_t size);
// REQUIRES: from allocateFrame() with the same size.
GYRE_API void freeFrame(void* frame, std::size_t size) noexcept;

// Internal: a Scheduler of the calling thread begins, and ends.
void beginKeepingFrames() noexcept;
void endKeepingFrames() noexcept;

// Base of classes whose objects come from there.
class Pooled {
 public:
  static void* operator new(std::size_t size) { return allocateFrame(size); }
  static void operator delete(void* object, std::size_t size) noexcept { freeFrame(object, size); }
};

}  // namespace gyre::co
