// LoopFixture: the base of every test with a loop: the loop is the test's own thread, run until
// something is true, and no descriptor is left behind.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "gyre/loop/EventLoop.h"
#include "support/TestOptions.h"

namespace gyre {

// After that long without what was expected a test gives up. Far above what anything takes, since
// the machine may be busy.
inline constexpr std::chrono::seconds kPatience{30};

// Descriptors of this process.
std::size_t openDescriptors();

class LoopFixture : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // What the loop is made with: testProactorOptions() unless a test is about other sizes.
  virtual ProactorOptions loopOptions() const { return testProactorOptions(); }
  // Made by the first call.
  EventLoop& loop();
  // Ends the loop, before the test does.
  void endLoop() { loop_.reset(); }

  // One iteration that waits a millisecond at most: other threads and peers go on meanwhile.
  void runOnce();
  // Runs the loop until it is true; false, and a failure of the test, when it did not become so.
  bool runUntil(const std::function<bool()>& isDone);
  // The longest time since watchPauses() in which the loop did not come to look: a timeout that is
  // not much longer says nothing of the library, but that the machine was busy.
  void watchPauses();
  std::chrono::nanoseconds longestPause() const noexcept { return longestPause_; }
  // Runs on while nothing is expected to happen any more, so that one event too many is seen.
  void settle();

 private:
  std::unique_ptr<EventLoop> loop_;
  std::size_t descriptors_ = 0;
  std::chrono::steady_clock::time_point lastRun_{};
  std::chrono::nanoseconds longestPause_{0};
};

}  // namespace gyre
