// IoQueueTest: contexts that wait in an engine keep their order and know that they wait.
#include <gtest/gtest.h>

#include <vector>

#include "proactor/IoQueue.h"

namespace gyre {
namespace {

class IoQueueTest : public testing::Test {
 protected:
  static void ignore(IoContext&, const IoResult&) noexcept {}

  static std::vector<IoContext*> drain(IoQueue& queue) {
    std::vector<IoContext*> all;
    while (IoContext* context = queue.pop()) all.push_back(context);
    return all;
  }

  IoContext a_{&IoQueueTest::ignore};
  IoContext b_{&IoQueueTest::ignore};
  IoContext c_{&IoQueueTest::ignore};
  IoContext d_{&IoQueueTest::ignore};
  IoQueue queue_;
};

TEST_F(IoQueueTest, Pop_empty_isNull) {
  EXPECT_TRUE(queue_.isEmpty());
  EXPECT_EQ(queue_.size(), 0U);
  EXPECT_EQ(queue_.pop(), nullptr);
}

TEST_F(IoQueueTest, Pop_isInTheOrderOfPushing) {
  for (IoContext* context : {&b_, &a_, &c_}) queue_.push(*context);
  EXPECT_EQ(queue_.size(), 3U);
  EXPECT_EQ(drain(queue_), (std::vector<IoContext*>{&b_, &a_, &c_}));
  EXPECT_TRUE(queue_.isEmpty());
}

TEST_F(IoQueueTest, Push_marksQueuedUntilPopped) {
  queue_.push(a_);
  queue_.push(b_);
  EXPECT_TRUE(a_.has(IoContext::kQueued));
  EXPECT_EQ(queue_.pop(), &a_);
  EXPECT_FALSE(a_.has(IoContext::kQueued));
  EXPECT_EQ(a_.state().next, nullptr) << "a link left behind would be read as a block";
  EXPECT_TRUE(b_.has(IoContext::kQueued));
  drain(queue_);
}

TEST_F(IoQueueTest, Push_leavesTheOtherFlagsAlone) {
  a_.set(IoContext::kEngineBits);
  queue_.push(a_);
  queue_.pop();
  EXPECT_TRUE(a_.has(IoContext::kEngineBits));
}

TEST_F(IoQueueTest, Push_afterItRanEmpty_startsAnew) {
  queue_.push(a_);
  drain(queue_);
  queue_.push(a_);
  queue_.push(b_);
  EXPECT_EQ(drain(queue_), (std::vector<IoContext*>{&a_, &b_}));
}

TEST_F(IoQueueTest, MoveIf_keepsTheOrderOfBoth) {
  IoQueue other;
  other.push(d_);
  for (IoContext* context : {&a_, &b_, &c_}) queue_.push(*context);
  queue_.moveIf([this](const IoContext& context) { return &context != &b_; }, other);
  EXPECT_EQ(queue_.size(), 1U);
  EXPECT_EQ(other.size(), 3U);
  EXPECT_EQ(drain(queue_), (std::vector<IoContext*>{&b_}));
  EXPECT_EQ(drain(other), (std::vector<IoContext*>{&d_, &a_, &c_}));
}

TEST_F(IoQueueTest, MoveIf_nothingMatches_changesNothing) {
  IoQueue other;
  for (IoContext* context : {&a_, &b_, &c_}) queue_.push(*context);
  queue_.moveIf([](const IoContext&) { return false; }, other);
  EXPECT_TRUE(other.isEmpty());
  EXPECT_EQ(drain(queue_), (std::vector<IoContext*>{&a_, &b_, &c_}));
}

}  // namespace
}  // namespace gyre
