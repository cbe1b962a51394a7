// CompletionBacklog: first in, first out, however often it wraps and grows.
#include <gtest/gtest.h>

#include <array>

#include "proactor/uring/CompletionBacklog.h"

namespace gyre {
namespace {

class CompletionBacklogTest : public testing::Test {
 protected:
  void push(std::size_t count) {
    for (; count > 0; --count) {
      ASSERT_TRUE(backlog_.makeRoom());
      io_uring_cqe cqe{};
      cqe.user_data = pushed_++;
      backlog_.push(cqe);
    }
  }
  void take(std::size_t count) {
    std::array<io_uring_cqe, 64> batch;
    ASSERT_EQ(backlog_.take(std::span(batch).first(count)), count);
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(batch[i].user_data, taken_++);
  }

  CompletionBacklog backlog_{4};
  std::uint64_t pushed_ = 0;
  std::uint64_t taken_ = 0;
};

TEST_F(CompletionBacklogTest, Take_returnsTheOldestFirst_acrossWrapsAndGrowth) {
  push(3);
  take(2);
  push(3);  // wraps
  EXPECT_EQ(backlog_.size(), 4U);
  push(30);  // grows while wrapped, more than once
  take(20);
  push(15);
  take(29);
  EXPECT_TRUE(backlog_.isEmpty());
}

TEST_F(CompletionBacklogTest, Take_ofMoreThanThereAre_returnsThoseThatAre) {
  push(2);
  std::array<io_uring_cqe, 8> batch;
  EXPECT_EQ(backlog_.take(batch), 2U);
  EXPECT_EQ(backlog_.take(batch), 0U);
}

}  // namespace
}  // namespace gyre
