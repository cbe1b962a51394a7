#include "sim/SimLender.h"

#include <cstring>

#include "gyre/base/Check.h"

#if defined(__SANITIZE_ADDRESS__)
#define GYRE_SIM_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GYRE_SIM_POISONS 1
#endif
#endif

#ifdef GYRE_SIM_POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) \
  (static_cast<void>(address), static_cast<void>(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) \
  (static_cast<void>(address), static_cast<void>(size))
#endif

namespace gyre {
namespace {

constexpr int kGarbage = 0xDD;

}  // namespace

SimLender::SimLender(std::size_t buffers, std::size_t bufferSize) : bufferSize_(bufferSize) {
  GYRE_CHECK(buffers > 0 && bufferSize > 0, "an engine receives into at least one byte");
  for (std::size_t i = 0; i < buffers; ++i) {
    buffers_.push_back(std::make_unique<char[]>(bufferSize));
    takeBack(buffers_.back().get());
  }
}

SimLender::~SimLender() {
  for (auto& buffer : buffers_) ASAN_UNPOISON_MEMORY_REGION(buffer.get(), bufferSize_);
}

char* SimLender::lend(std::size_t size) {
  GYRE_CHECK(available() > 0 && size <= bufferSize_, "lend: a free buffer that is large enough");
  char* buffer = idle_.front();
  idle_.pop_front();
  ASAN_UNPOISON_MEMORY_REGION(buffer, size);
  return buffer;
}

void SimLender::takeBack(char* buffer) noexcept {
  ASAN_UNPOISON_MEMORY_REGION(buffer, bufferSize_);
  std::memset(buffer, kGarbage, bufferSize_);
  ASAN_POISON_MEMORY_REGION(buffer, bufferSize_);
  idle_.push_back(buffer);
}

}  // namespace gyre
