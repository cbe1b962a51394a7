// CheckTest: a broken promise is reported at its place and ends the process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string>

#include "gyre/base/Check.h"

namespace gyre {
namespace {

class CheckDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST(CheckTest, Check_holds_evaluatesOnceAndGoesOn) {
  int evaluations = 0;
  GYRE_CHECK(++evaluations == 1, "must hold");
  EXPECT_EQ(evaluations, 1);
}

TEST(CheckTest, Check_inUnbracedIf_bindsToItsOwnBranch) {
  bool isElseTaken = false;
  if (isElseTaken)
    GYRE_CHECK(false, "not reached");
  else
    isElseTaken = true;
  EXPECT_TRUE(isElseTaken);
}

TEST_F(CheckDeathTest, Check_fails_namesPlaceConditionAndMessage) {
  const int line = __LINE__ + 1;
  const auto fail = [] { GYRE_CHECK(1 + 1 == 3, "arithmetic holds"); };
  const std::string report =
      "CheckTest.cc:" + std::to_string(line) + ": CHECK failed: 1 . 1 == 3: arithmetic holds\n";
  EXPECT_EXIT(fail(), testing::KilledBySignal(SIGABRT), report);
}

TEST_F(CheckDeathTest, Check_messageIsAPointer_printsItsText) {
  const char* message = "the text behind the pointer";
  EXPECT_DEATH(GYRE_CHECK(false, message), "false: the text behind the pointer");
}

TEST_F(CheckDeathTest, Check_longMessage_isNotCutOff) {
  const std::string message = std::string(5000, 'm') + "END";
  EXPECT_DEATH(GYRE_CHECK(false, message.c_str()), "mmmEND\n");
}

TEST_F(CheckDeathTest, Check_nobodyReadsTheReport_abortsAllTheSame) {
  const auto fail = [] {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_NONBLOCK) != 0) std::exit(1);
    while (::write(ends[1], ends.data(), sizeof ends) > 0) continue;
    ::fcntl(ends[1], F_SETFL, 0);
    ::dup2(ends[1], STDERR_FILENO);
    GYRE_CHECK(false, "unread");
  };
  EXPECT_EXIT(fail(), testing::KilledBySignal(SIGABRT), "");
}

TEST_F(CheckDeathTest, DCheck_fails_abortsExactlyWithoutNdebug) {
  int evaluations = 0;
  const auto fails = [&] {
    ++evaluations;
    return false;
  };
#ifdef NDEBUG
  GYRE_DCHECK(fails(), "not evaluated");
  EXPECT_EQ(evaluations, 0);
#else
  EXPECT_DEATH(GYRE_DCHECK(fails(), "evaluated"), "CHECK failed: fails\\(\\): evaluated");
#endif
}

}  // namespace
}  // namespace gyre
