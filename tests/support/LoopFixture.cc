#include "support/LoopFixture.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "gyre/base/Log.h"

namespace gyre {
namespace {

constexpr std::chrono::milliseconds kStep{1};
constexpr int kSettleSteps = 20;

}  // namespace

std::size_t openDescriptors() {
  flushLog();  // its thread opens some for a moment: the time zone, with the first message
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

void LoopFixture::SetUp() {
  const std::string refusal = engineRefusal();
  if (!refusal.empty()) GTEST_SKIP() << "io_uring is not available: " << refusal;
  descriptors_ = openDescriptors();
}

void LoopFixture::TearDown() {
  endLoop();
  if (IsSkipped()) return;
  EXPECT_EQ(openDescriptors(), descriptors_) << "descriptors were left open";
}

EventLoop& LoopFixture::loop() {
  if (loop_ == nullptr) loop_ = std::make_unique<EventLoop>(loopOptions());
  return *loop_;
}

void LoopFixture::runOnce() {
  loop().runOnce(loop().now() + kStep);
  const auto now = std::chrono::steady_clock::now();
  longestPause_ = std::max<std::chrono::nanoseconds>(longestPause_, now - lastRun_);
  lastRun_ = now;
}

void LoopFixture::watchPauses() {
  lastRun_ = std::chrono::steady_clock::now();
  longestPause_ = {};
}

bool LoopFixture::runUntil(const std::function<bool()>& isDone) {
  const auto limit = std::chrono::steady_clock::now() + kPatience;
  while (!isDone()) {
    if (std::chrono::steady_clock::now() >= limit) {
      ADD_FAILURE() << "what the test waited for did not happen";
      return false;
    }
    runOnce();
  }
  return true;
}

void LoopFixture::settle() {
  for (int i = 0; i < kSettleSteps; ++i) runOnce();
}

}  // namespace gyre
