// EveryAllocation: runs a scenario again and again, each time with another of its allocations
// refused, and looks whether anything was lost or left behind.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <new>
#include <string>
#include <system_error>

#include "gyre/base/Log.h"
#include "net/AllocationCounter.h"
#include "support/LoopFixture.h"

namespace gyre {

// Which allocations are refused: the first of `width`, every `stride`-th from `first` on.
struct RefusalPlan {
  std::size_t width = 1;
  std::size_t stride = 1;
  std::size_t first = 0;
};

class EveryAllocationTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string refusal = engineRefusal();
    if (!refusal.empty()) GTEST_SKIP() << refusal;
    levelBefore_ = logLevel();
    // Starts what the log needs, and then keeps it quiet: each refusal is logged.
    log(LogLevel::Warn, "allocations are refused from here on");
    flushLog();
    setLogLevel(LogLevel::Off);
  }
  void TearDown() override {
    if (!IsSkipped()) setLogLevel(levelBefore_);
  }

  // The scenario begins the refusal where it likes; it is in AllocationsExempt, and lets what is
  // tested run by asSubject(). It may throw std::bad_alloc or std::system_error where that is how
  // the failure is to be told. Returns how often it ran: once where it needs no memory.
  std::size_t refuseEach(const RefusalPlan& plan,
                         const std::function<void(RefusedAllocations& refused)>& scenario) {
    std::size_t runs = 0;
    for (std::size_t first = plan.first;; first += plan.stride) {
      const AllocationsExempt exempt;
      SCOPED_TRACE("refused: " + std::to_string(first));
      const std::size_t descriptors = openDescriptors();
      RefusedAllocations refused(first, plan.width);
      try {
        scenario(refused);
      } catch (const std::bad_alloc&) {
      } catch (const std::system_error&) {
      }
      refused.end();
      ++runs;
      EXPECT_EQ(openDescriptors(), descriptors) << "descriptors were left open";
      if (HasFailure() || first >= refused.count()) break;
    }
    return runs;
  }

 private:
  LogLevel levelBefore_ = LogLevel::Warn;
};

// What is tested, called: its allocations count.
template <typename Call>
auto asSubject(Call call) {
  const AllocationsSubject subject;
  return call();
}

}  // namespace gyre
