// TimeTest: spans of every unit become the clock's without overflow, and zero is no limit.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gyre/base/Time.h"

namespace gyre {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Years = std::chrono::duration<int, std::ratio<365 * 24 * 3600>>;
using FloatSeconds = std::chrono::duration<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(TimeTest, Saturate_whatFits_isExact) {
  EXPECT_EQ(saturate(milliseconds(10'000)), seconds(10));
  EXPECT_EQ(saturate(nanoseconds(1)), nanoseconds(1));
  EXPECT_EQ(saturate(-hours(1)), -hours(1));
  EXPECT_EQ(saturate(FloatSeconds(0.5)), milliseconds(500));
  EXPECT_EQ(saturate(Years(200)), hours(24 * 365 * 200));
  EXPECT_EQ(saturate(kLongestSpan), Duration(kLongestSpan));
}

TEST(TimeTest, Saturate_whatDoesNotFit_isNever) {
  EXPECT_EQ(saturate(milliseconds::max()), kNever);
  EXPECT_EQ(saturate(seconds::max()), kNever);
  EXPECT_EQ(saturate(hours::max()), kNever);
  EXPECT_EQ(saturate(Years(300)), kNever);
  EXPECT_EQ(saturate(Duration::max()), kNever);
  EXPECT_EQ(saturate(FloatSeconds(1e30)), kNever);
  EXPECT_EQ(saturate(FloatSeconds(kInfinity)), kNever);
  EXPECT_EQ(saturate(milliseconds::min()), Duration::min());
  EXPECT_EQ(saturate(FloatSeconds(-kInfinity)), Duration::min());
  EXPECT_EQ(saturate(FloatSeconds(std::nan(""))), Duration::zero());
}

TEST(TimeTest, Limit_zeroOrLess_isNone) {
  EXPECT_EQ(TimeSpan().limit(), kNever);
  EXPECT_EQ(TimeSpan(milliseconds(0)).limit(), kNever);
  EXPECT_EQ(TimeSpan(-seconds(1)).limit(), kNever);
  EXPECT_EQ(TimeSpan(milliseconds::max()).limit(), kNever);
  EXPECT_EQ(TimeSpan(milliseconds(3)).limit(), milliseconds(3));
}

TEST(TimeTest, TimeSpan_isComparedAsWhatItWasMadeOf) {
  const TimeSpan span = seconds(2);
  EXPECT_EQ(span, milliseconds(2000));
  EXPECT_LT(span, milliseconds::max());
  EXPECT_GT(span, milliseconds::min());
  EXPECT_EQ(span.milliseconds(), milliseconds(2000));
}

TEST(TimeTest, AddSaturated_endsWithTheClock) {
  const TimePoint now(hours(24 * 365));
  EXPECT_EQ(addSaturated(now, seconds(1)), now + seconds(1));
  EXPECT_EQ(addSaturated(now, -seconds(1)), now - seconds(1));
  EXPECT_EQ(addSaturated(now, kNever), kForever);
  EXPECT_EQ(addSaturated(TimePoint(-seconds(1)), kNever), kForever);
  EXPECT_EQ(addSaturated(now, kNever - Duration(1)), kForever);
  EXPECT_EQ(addSaturated(TimePoint(-seconds(1)), Duration::min()), kNoWait);
}

}  // namespace
}  // namespace gyre
