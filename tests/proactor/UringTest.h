// UringTest: the base of tests that need a kernel with io_uring.
#pragma once

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>

#include "proactor/uring/Ring.h"
#include "proactor/uring/UringFeatures.h"

namespace gyre {

class UringTest : public testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    // The child of a death test was asked for by a parent that knows, and is to ask for itself.
    if (testing::internal::InDeathTestChild()) return;
    const UringSupport support = uringSupport();
    if (support.error == ENOSYS || support.error == EPERM) {
      GTEST_SKIP() << "io_uring is not available: " << support.cause;
    }
    ASSERT_EQ(support.error, 0) << support.cause;
  }

  static RingSetup sized(std::uint32_t submissions, std::uint32_t completions) {
    RingSetup setup;
    setup.submissionEntries = submissions;
    setup.completionEntries = completions;
    return setup;
  }
};

}  // namespace gyre
