// LoanCheck: a receive buffer that is kept too long is caught, in builds that look for it.
#include <gtest/gtest.h>

#include "proactor/uring/LoanCheck.h"

namespace gyre {
namespace {

constexpr const char* kMessage = "returned before the second next run";

class LoanCheckTest : public testing::Test {
 protected:
  LoanCheckTest() {
    GTEST_FLAG_SET(death_test_style, "fast");
    loans_.open(4);
    loans_.beginRun();
  }

  LoanCheckIf<true> loans_;
};

TEST_F(LoanCheckTest, ReturnedInTheNextRun_isInTime) {
  loans_.keep(3);
  loans_.beginRun();
  loans_.endKeep(3);
  for (int i = 0; i < 3; ++i) loans_.beginRun();
}

TEST_F(LoanCheckTest, KeptWhenTheSecondNextRunBegins_isCaught) {
  loans_.keep(3);
  loans_.beginRun();
  EXPECT_DEATH(loans_.beginRun(), kMessage);
}

TEST_F(LoanCheckTest, KeptTwiceAndReturnedOnce_isCaught) {
  loans_.keep(0);
  loans_.keep(0);
  loans_.endKeep(0);
  loans_.beginRun();
  EXPECT_DEATH(loans_.beginRun(), kMessage);
}

TEST_F(LoanCheckTest, HeldByASendInFlight_mayBeKept_untilItHasEnded) {
  loans_.keep(1);
  loans_.beginSend(1);
  for (int i = 0; i < 5; ++i) loans_.beginRun();
  loans_.endSend(1);
  EXPECT_DEATH(loans_.beginRun(), kMessage);
}

}  // namespace
}  // namespace gyre
