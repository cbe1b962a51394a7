#include "sim/SimLender.h"

#include <algorithm>
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
    makeIdle(buffers_.back().get());
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
  loans_.push_back({buffer, 0});
  return buffer;
}

void SimLender::keep(const char* byte) {
  const auto loan = loanOf(byte);
  ++loan->keeps;
  ++loan->kept;
  loan->keptIn = runs_;
}

void SimLender::endKeep(const char* byte) {
  GYRE_CHECK(--loanOf(byte)->kept >= 0, "returnLent: once for each keepLent() that was true");
  takeBack(byte);
}

void SimLender::takeBack(const char* byte) {
  const auto loan = loanOf(byte);
  if (loan->keeps-- > 0) return;
  makeIdle(loan->buffer);
  loans_.erase(loan);
}

std::vector<SimLender::Loan>::iterator SimLender::find(const char* byte) noexcept {
  return std::find_if(loans_.begin(), loans_.end(), [this, byte](const Loan& loan) {
    return byte >= loan.buffer && byte < loan.buffer + bufferSize_;
  });
}

std::vector<SimLender::Loan>::iterator SimLender::loanOf(const char* byte) {
  const auto loan = find(byte);
  GYRE_CHECK(loan != loans_.end(), "bytes of a receive were returned that are not lent");
  return loan;
}

void SimLender::makeIdle(char* buffer) noexcept {
  ASAN_UNPOISON_MEMORY_REGION(buffer, bufferSize_);
  std::memset(buffer, kGarbage, bufferSize_);
  ASAN_POISON_MEMORY_REGION(buffer, bufferSize_);
  idle_.push_back(buffer);
}

}  // namespace gyre
