// The delays between attempts, without a clock.
#include <gtest/gtest.h>

#include <limits>

#include "client/Backoff.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kLeast = 0;
constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST(BackoffTest, Delays_growByTheFactorUpToTheMaximum) {
  Backoff backoff({.initial = milliseconds(100), .maximum = milliseconds(1000), .factor = 3});
  for (const int expected : {100, 300, 900, 1000, 1000}) {
    EXPECT_EQ(backoff.next(kLeast), milliseconds(expected));
  }
  backoff.reset();
  EXPECT_EQ(backoff.next(kLeast), milliseconds(100));
}

TEST(BackoffTest, Jitter_takesAtMostItsPart) {
  const BackoffOptions options{.initial = milliseconds(1000), .jitter = 0.25};
  EXPECT_EQ(Backoff(options).next(kLeast), milliseconds(1000));
  EXPECT_EQ(Backoff(options).next(kMost), milliseconds(750));
  EXPECT_EQ(Backoff(options).next(kMost / 2), milliseconds(875));
  // All of it may be left to chance, but a delay is never nothing.
  EXPECT_EQ(Backoff({.initial = milliseconds(1000), .jitter = 1}).next(kMost), milliseconds(1));
}

TEST(BackoffTest, NoMaximum_zeroOrBeyondTheClock_growsUntilNever) {
  for (const TimeSpan none : {TimeSpan(milliseconds::max()), TimeSpan(milliseconds(0))}) {
    Backoff backoff({.initial = milliseconds(1), .maximum = none, .factor = 1000});
    for (const std::int64_t expected : {1, 1000, 1'000'000, 1'000'000'000}) {
      EXPECT_EQ(backoff.next(kLeast), milliseconds(expected));
    }
    for (int i = 0; i < 3; ++i) backoff.next(kLeast);
    EXPECT_EQ(backoff.next(kLeast), kNever);
  }
  EXPECT_EQ(Backoff({.initial = milliseconds::max(), .maximum = milliseconds::max()}).next(kLeast),
            kNever);
}

TEST(BackoffTest, OptionsThatMakeNoSense_areBrokenPromises) {
  EXPECT_DEATH(Backoff({.initial = milliseconds(0)}), "above zero");
  EXPECT_DEATH(Backoff({.initial = milliseconds(2), .maximum = milliseconds(1)}), "maximum");
  EXPECT_DEATH(Backoff({.factor = 0.5}), "does not shrink");
  EXPECT_DEATH(Backoff({.jitter = 1.5}), "jitter");
}

}  // namespace
}  // namespace gyre
