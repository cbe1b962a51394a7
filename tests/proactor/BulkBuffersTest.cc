// BulkBuffersTest: a few large buffers, each held by one stream, given up by those that only wait.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <vector>

#include "proactor/PageResidency.h"
#include "proactor/uring/BulkBuffers.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

constexpr std::uint32_t kSize = 64 * 1024;

class BulkBuffersTest : public testing::Test {
 protected:
  static void ignore(IoContext&, const IoResult&) {}

  static char* dataOf(IoContext& context) { return BulkBuffers::placeOf(context).data; }
  std::vector<IoContext*> sweep(TimePoint now) {
    std::vector<IoContext*> calm;
    buffers_.sweep(now, [&calm](IoContext& context) { calm.push_back(&context); });
    return calm;
  }

  static constexpr TimePoint kStart = TimePoint(std::chrono::hours(1));

  IoContext a_{&BulkBuffersTest::ignore};
  IoContext b_{&BulkBuffersTest::ignore};
  IoContext c_{&BulkBuffersTest::ignore};
  BulkBuffers buffers_{2, kSize};
};

TEST_F(BulkBuffersTest, Give_isABufferOfItsOwn) {
  EXPECT_FALSE(buffers_.isHeld());
  ASSERT_TRUE(buffers_.give(a_));
  ASSERT_TRUE(buffers_.give(b_));
  std::fill_n(dataOf(a_), kSize, 'a');
  std::fill_n(dataOf(b_), kSize, 'b');
  EXPECT_TRUE(std::all_of(dataOf(a_), dataOf(a_) + kSize, [](char c) { return c == 'a'; }));
  EXPECT_TRUE(buffers_.isHeld());
}

TEST_F(BulkBuffersTest, Give_noneIsFree_isFalseAndChangesNothing) {
  buffers_.give(a_);
  buffers_.give(b_);
  EXPECT_FALSE(buffers_.hasFree());
  EXPECT_FALSE(buffers_.give(c_));
  EXPECT_EQ(c_.state().block, nullptr);
  buffers_.takeBack(a_);
  EXPECT_EQ(a_.state().block, nullptr);
  EXPECT_TRUE(buffers_.give(c_));
}

TEST_F(BulkBuffersTest, Give_noBuffersAtAll_isFalse) {
  BulkBuffers none(0, kSize);
  EXPECT_FALSE(none.hasFree());
  EXPECT_FALSE(none.give(a_));
}

TEST_F(BulkBuffersTest, Give_againAfterTakeBack_staysOnTheSameHotBuffer) {
  BulkBuffers many(16, kSize);
  std::set<char*> seen;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(many.give(a_));
    ASSERT_TRUE(many.give(b_));
    seen.insert({dataOf(a_), dataOf(b_)});
    many.takeBack(b_);
    many.takeBack(a_);
  }
  EXPECT_EQ(seen.size(), 2U);
}

TEST_F(BulkBuffersTest, TakeBack_theLast_givesThePagesBack) {
  buffers_.give(a_);
  buffers_.give(b_);
  const char* first = dataOf(a_);
  const char* second = dataOf(b_);
  std::fill_n(dataOf(a_), kSize, 'a');
  std::fill_n(dataOf(b_), kSize, 'b');
  buffers_.takeBack(a_);
  EXPECT_EQ(residentPages(second, kSize), kSize / 4096) << "it is still held";
  buffers_.takeBack(b_);
  EXPECT_EQ(residentPages(first, kSize) + residentPages(second, kSize), 0U);
  EXPECT_FALSE(buffers_.isHeld());
}

TEST_F(BulkBuffersTest, Sweep_nobodyHoldsOne_isNever) {
  EXPECT_EQ(buffers_.sweepDue(), kForever);
  EXPECT_TRUE(sweep(kStart).empty());
  EXPECT_EQ(buffers_.sweepDue(), kForever);
}

TEST_F(BulkBuffersTest, Sweep_findsThoseThatReceivedNothingSinceTheLast) {
  buffers_.give(a_);
  buffers_.give(b_);
  EXPECT_TRUE(sweep(kStart).empty());
  const TimePoint first = buffers_.sweepDue();
  EXPECT_EQ(first, kStart + milliseconds(500));
  EXPECT_TRUE(sweep(first - milliseconds(1)).empty());
  EXPECT_TRUE(sweep(first).empty()) << "they are new";
  BulkBuffers::placeOf(a_).isUsed = true;
  EXPECT_EQ(sweep(first + milliseconds(500)), std::vector<IoContext*>{&b_});
  EXPECT_EQ(sweep(first + milliseconds(1000)), (std::vector<IoContext*>{&a_, &b_}));
}

TEST_F(BulkBuffersTest, Sweep_whoHoldsOneAfterAPause_hasAWholeInterval) {
  buffers_.give(a_);
  sweep(kStart);
  buffers_.takeBack(a_);
  buffers_.give(b_);
  const TimePoint later = kStart + std::chrono::hours(1);
  EXPECT_TRUE(sweep(later).empty());
  EXPECT_TRUE(sweep(later + milliseconds(500)).empty());
  EXPECT_EQ(sweep(later + milliseconds(1000)), std::vector<IoContext*>{&b_});
}

TEST_F(BulkBuffersTest, Sweep_theHolderGivesItBack_theNextSweepIsNever) {
  buffers_.give(a_);
  sweep(kStart);
  sweep(kStart + milliseconds(500));
  buffers_.sweep(kStart + milliseconds(1000),
                 [this](IoContext& context) { buffers_.takeBack(context); });
  EXPECT_FALSE(buffers_.isHeld());
  EXPECT_EQ(buffers_.sweepDue(), kForever);
}

}  // namespace
}  // namespace gyre
