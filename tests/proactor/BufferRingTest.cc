// BufferRingTest: the receive buffers that the kernel takes, and how their number grows.
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "gyre/base/UniqueFd.h"
#include "proactor/UringTest.h"
#include "proactor/uring/BufferRing.h"

namespace gyre {
namespace {

constexpr std::uint32_t kSize = 256;

class BufferRingTest : public UringTest {
 protected:
  void SetUp() override {
    UringTest::SetUp();
    if (IsSkipped()) return;
    ASSERT_EQ(ring_.open(sized(8, 64)), 0);
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    near_.reset(pair[0]);
    far_.reset(pair[1]);
  }

  void arm() {
    io_uring_sqe* sqe = ring_.next();
    sqe->opcode = IORING_OP_RECV;
    sqe->fd = near_.get();
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = BufferRing::kGroup;
  }
  // What one wait brings; arms the multishot receive first where it has ended.
  std::vector<io_uring_cqe> receive() {
    if (!isArmed_) arm();
    EXPECT_EQ(ring_.enter(1, std::chrono::seconds(5)), 0);
    std::vector<io_uring_cqe> all(64);
    all.resize(ring_.take(all));
    isArmed_ = !all.empty() && (all.back().flags & IORING_CQE_F_MORE) != 0;
    return all;
  }
  static std::uint16_t idOf(const io_uring_cqe& cqe) {
    return static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
  }
  void sendMessages(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string text = "message " + std::to_string(i);
      ASSERT_GT(::send(far_.get(), text.data(), text.size(), 0), 0);
    }
  }

  BufferRing buffers_;  // outlives the ring
  Ring ring_;
  UniqueFd near_;
  UniqueFd far_;
  bool isArmed_ = false;
};

TEST_F(BufferRingTest, Open_publishesTheFirstBuffers) {
  EXPECT_FALSE(buffers_.isOpen());
  ASSERT_EQ(buffers_.open(ring_, 2, 8, kSize), 0);
  EXPECT_TRUE(buffers_.isOpen());
  EXPECT_EQ(buffers_.available(), 2U);
  EXPECT_EQ(buffers_.bufferSize(), kSize);
  EXPECT_EQ(buffers_.data(7) - buffers_.data(0), 7 * static_cast<std::ptrdiff_t>(kSize));
}

TEST_F(BufferRingTest, Open_theKernelRefuses_isNotOpen) {
  ASSERT_EQ(buffers_.open(ring_, 2, 2, kSize), 0);
  BufferRing second;
  EXPECT_EQ(second.open(ring_, 2, 2, kSize), -EEXIST) << "the group is taken";
  EXPECT_FALSE(second.isOpen()) << "it would be used, and receives would starve for ever";
}

TEST_F(BufferRingTest, Open_noPowerOfTwo_isRefused) {
  EXPECT_EQ(buffers_.open(ring_, 2, 3, kSize), -EINVAL);
  EXPECT_FALSE(buffers_.isOpen());
}

TEST_F(BufferRingTest, Grow_doublesUpToTheMaximum) {
  ASSERT_EQ(buffers_.open(ring_, 2, 8, kSize), 0);
  for (const std::uint32_t expected : {4U, 8U}) {
    EXPECT_TRUE(buffers_.grow());
    EXPECT_NE(buffers_.available(), expected) << "the kernel does not know them yet";
    buffers_.publish();
    EXPECT_EQ(buffers_.available(), expected);
  }
  EXPECT_FALSE(buffers_.grow());
  buffers_.publish();
  EXPECT_EQ(buffers_.available(), 8U);
}

TEST_F(BufferRingTest, Grow_theFirstTookAll_stopsAtTheMaximum) {
  ASSERT_EQ(buffers_.open(ring_, 4, 4, kSize), 0);
  EXPECT_FALSE(buffers_.grow());
}

TEST_F(BufferRingTest, Receive_ranEmpty_growsAndTheRestArrivesInTheNewBuffers) {
  ASSERT_EQ(buffers_.open(ring_, 2, 8, kSize), 0);
  sendMessages(8);
  std::vector<std::string> got;
  std::set<std::uint16_t> ids;
  const auto takeIn = [&](const std::vector<io_uring_cqe>& completions) {
    for (const io_uring_cqe& cqe : completions) {
      if (cqe.res <= 0) continue;
      buffers_.taken();
      ids.insert(idOf(cqe));
      got.emplace_back(buffers_.data(idOf(cqe)), static_cast<std::size_t>(cqe.res));
    }
  };
  const std::vector<io_uring_cqe> first = receive();
  takeIn(first);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(first.back().res, -ENOBUFS);
  EXPECT_EQ(buffers_.available(), 0U);

  while (buffers_.grow()) {
  }
  buffers_.publish();
  EXPECT_EQ(buffers_.available(), 6U);
  takeIn(receive());
  ASSERT_EQ(got.size(), 8U);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], "message " + std::to_string(i));
  EXPECT_EQ(ids.size(), 8U) << "each message has a buffer of its own";
}

TEST_F(BufferRingTest, Recycle_isOnlyAvailableOncePublished) {
  ASSERT_EQ(buffers_.open(ring_, 1, 1, kSize), 0);
  sendMessages(2);
  const std::vector<io_uring_cqe> first = receive();
  ASSERT_EQ(first.size(), 2U);
  buffers_.taken();
  buffers_.recycle(idOf(first[0]));
  EXPECT_EQ(buffers_.available(), 0U);
  EXPECT_EQ(receive().front().res, -ENOBUFS);
  buffers_.publish();
  EXPECT_EQ(buffers_.available(), 1U);
  EXPECT_GT(receive().front().res, 0);
}

// The tail is 16 bits wide and goes round.
TEST_F(BufferRingTest, Receive_afterTheTailWentRound_deliversTheRightBuffers) {
  ASSERT_EQ(buffers_.open(ring_, 4, 4, kSize), 0);
  int recycled = 0;
  while (recycled < 66'000) {
    sendMessages(2);
    for (const io_uring_cqe& cqe : receive()) {
      ASSERT_GT(cqe.res, 0);
      buffers_.taken();
      ASSERT_EQ(std::string(buffers_.data(idOf(cqe)), 8), "message ");
      buffers_.recycle(idOf(cqe));
      ++recycled;
    }
    buffers_.publish();
    ASSERT_EQ(buffers_.available(), 4U);
  }
}

}  // namespace
}  // namespace gyre
