#include "gyre/co/FramePool.h"

#include <array>
#include <cstdint>
#include <new>

namespace gyre::co {

#ifdef GYRE_QUARANTINE

// Reuse would hide a frame that is used after its end from the sanitizers.
void* allocateFrame(std::size_t size) { return ::operator new(size); }
void freeFrame(void* frame, std::size_t size) noexcept { ::operator delete(frame, size); }

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

// Trivial, so that frames may be freed for as long as the thread runs, after all destructors too.
thread_local std::array<Class, kClasses> classes;
thread_local bool isEnding = false;

void giveBackAll() noexcept {
  for (Class& each : classes) {
    while (each.first != nullptr) {
      Free* frame = each.first;
      each.first = frame->next;
      ::operator delete(frame);
    }
    each.count = 0;
  }
}

struct AtThreadEnd {
  ~AtThreadEnd() {
    isEnding = true;
    giveBackAll();
  }
};

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
  if (index >= kClasses || isEnding) return ::operator delete(frame);
  static thread_local AtThreadEnd atThreadEnd;
  static_cast<void>(atThreadEnd);
  Class& own = classes[index];
  if (own.count >= kKeptBytes / ((index + 1) * kStep)) return ::operator delete(frame);
  own.first = ::new (frame) Free{own.first};
  ++own.count;
}

#endif

}  // namespace gyre::co
