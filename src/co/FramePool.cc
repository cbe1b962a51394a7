#include "gyre/co/FramePool.h"

#include <array>
#include <cstdint>
#include <new>

namespace gyre::co {

#ifdef GYRE_QUARANTINE

// Reuse would hide a frame that is used after its end from the sanitizers.
void* allocateFrame(std::size_t size) { return ::operator new(size); }
void freeFrame(void* frame, std::size_t size) noexcept { ::operator delete(frame, size); }
void beginKeepingFrames() noexcept {}
void endKeepingFrames() noexcept {}

#else

namespace {

constexpr std::size_t kStep = 64;
constexpr std::size_t kClasses = 32;            // up to 2 KiB
constexpr std::size_t kKeptBytes = 128 * 1024;  // of each class: more is given back at once

struct Free {
  Free* next;
};

struct Class {
  Free* first;
  std::uint32_t count;
};

// Without a destructor: registering one needs memory, and glibc ends the process without.
thread_local std::array<Class, kClasses> classes;
thread_local int schedulers = 0;

std::size_t classOf(std::size_t size) noexcept { return (size - 1) / kStep; }

}  // namespace

void* allocateFrame(std::size_t size) {
  const std::size_t index = classOf(size);
  if (index >= kClasses) return ::operator new(size);
  Class& own = classes[index];
  if (own.first == nullptr) return ::operator new((index + 1) * kStep);
  Free* frame = own.first;
  own.first = frame->next;
  --own.count;
  return frame;
}

void freeFrame(void* frame, std::size_t size) noexcept {
  const std::size_t index = classOf(size);
  if (index >= kClasses || schedulers == 0) return ::operator delete(frame);
  Class& own = classes[index];
  if (own.count >= kKeptBytes / ((index + 1) * kStep)) return ::operator delete(frame);
  own.first = ::new (frame) Free{own.first};
  ++own.count;
}

void beginKeepingFrames() noexcept { ++schedulers; }

void endKeepingFrames() noexcept {
  if (--schedulers != 0) return;
  for (Class& each : classes) {
    while (each.first != nullptr) {
      Free* frame = each.first;
      each.first = frame->next;
      ::operator delete(frame);
    }
    each.count = 0;
  }
}

#endif

}  // namespace gyre::co
