// DescriptorRoomTest: from which descriptor number on accepting becomes careful, and until when.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "proactor/DescriptorRoom.h"

namespace gyre {
namespace {

constexpr std::size_t kBatch = 64;

class DescriptorRoomTest : public testing::Test {
 protected:
  void SetUp() override { ::getrlimit(RLIMIT_NOFILE, &before_); }
  void TearDown() override { ::setrlimit(RLIMIT_NOFILE, &before_); }

  void limit(rlim_t count) {
    const rlimit wanted{count, before_.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &wanted), 0);
  }
  static bool isScarceAt(DescriptorRoom& room, int fd, int times = 1) {
    for (int i = 0; i < times; ++i) room.note(fd);
    return room.isScarce();
  }

  rlimit before_{};
};

TEST_F(DescriptorRoomTest, HalfOfTheLimit_isScarce) {
  limit(1000);
  DescriptorRoom room(kBatch);
  EXPECT_FALSE(isScarceAt(room, 499));
  EXPECT_TRUE(isScarceAt(room, 500));
}

TEST_F(DescriptorRoomTest, ABatchBelowTheLimit_isScarce_whereThatIsLess) {
  limit(100);
  DescriptorRoom room(kBatch);
  EXPECT_FALSE(isScarceAt(room, 35));
  EXPECT_TRUE(isScarceAt(room, 36));
}

TEST_F(DescriptorRoomTest, LimitOfLessThanABatch_isScarceAlways) {
  limit(kBatch);
  DescriptorRoom room(kBatch);
  EXPECT_TRUE(isScarceAt(room, 3));
}

// One low number may be a hole below many that are open.
TEST_F(DescriptorRoomTest, ManyLowNumbersInARow_endIt_andAHighOneBeginsAnew) {
  limit(1000);
  DescriptorRoom room(kBatch);
  EXPECT_TRUE(isScarceAt(room, 600));
  EXPECT_TRUE(isScarceAt(room, 10, 255));
  EXPECT_TRUE(isScarceAt(room, 600));
  EXPECT_TRUE(isScarceAt(room, 10, 255));
  EXPECT_FALSE(isScarceAt(room, 10));
}

TEST_F(DescriptorRoomTest, LimitThatWasRaised_isSeen) {
  limit(200);
  DescriptorRoom room(kBatch);
  EXPECT_TRUE(isScarceAt(room, 150));
  limit(1000);
  EXPECT_FALSE(isScarceAt(room, 150, 64 + 256));
}

}  // namespace
}  // namespace gyre
