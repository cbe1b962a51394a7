// RingTest: the two queues shared with the kernel, exercised by operations that do nothing.
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <chrono>
#include <csignal>
#include <thread>
#include <utility>
#include <vector>

#include "proactor/UringTest.h"
#include "proactor/uring/Ring.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

class RingTest : public UringTest {
 protected:
  static io_uring_sqe& queueNop(Ring& ring, std::uint64_t tag) {
    io_uring_sqe* sqe = ring.next();
    if (sqe == nullptr) throw std::logic_error("the queue is full");
    sqe->opcode = IORING_OP_NOP;
    sqe->user_data = tag;
    return *sqe;
  }
  static std::vector<std::uint64_t> takeAll(Ring& ring) {
    std::vector<std::uint64_t> tags;
    io_uring_cqe cqe{};
    while (ring.take({&cqe, 1}) == 1) tags.push_back(cqe.user_data);
    return tags;
  }
  // Submits one operation and expects its completion.
  static void expectWorks(Ring& ring, std::uint64_t tag) {
    queueNop(ring, tag);
    ASSERT_EQ(ring.enter(1, std::chrono::seconds(5)), 0);
    EXPECT_EQ(takeAll(ring), std::vector<std::uint64_t>{tag});
  }
};

TEST_F(RingTest, Open_sizes_areGrantedAndReadBack) {
  Ring ring;
  ASSERT_EQ(ring.open(sized(16, 256)), 0);
  EXPECT_TRUE(ring.isOpen());
  EXPECT_EQ(ring.grant().submissionEntries, 16U);
  EXPECT_EQ(ring.grant().completionEntries, 256U);
  EXPECT_NE(ring.grant().setupFlags & IORING_SETUP_CQSIZE, 0U);
  EXPECT_NE(ring.grant().setupFlags & IORING_SETUP_SINGLE_ISSUER, 0U);
  EXPECT_NE(ring.grant().setupFlags & IORING_SETUP_DEFER_TASKRUN, 0U);
  // Under it another CPU writes the flags that we read, once for each wait.
  EXPECT_EQ(ring.grant().setupFlags & IORING_SETUP_TASKRUN_FLAG, 0U);
  EXPECT_NE(ring.grant().features & IORING_FEAT_NODROP, 0U);
}

TEST_F(RingTest, Next_isZeroedAndNullWhenFull) {
  Ring ring;
  ASSERT_EQ(ring.open(sized(4, 8)), 0);
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < 4; ++i) {
      io_uring_sqe* sqe = ring.next();
      ASSERT_NE(sqe, nullptr);
      EXPECT_EQ(sqe->user_data, 0U);
      EXPECT_EQ(sqe->addr, 0U);
      sqe->opcode = IORING_OP_NOP;
      sqe->user_data = i;
      sqe->addr = 12345;
    }
    EXPECT_EQ(ring.next(), nullptr);
    EXPECT_TRUE(ring.hasQueued());
    ASSERT_EQ(ring.enter(4, std::chrono::seconds(5)), 0);
    EXPECT_FALSE(ring.hasQueued());
    EXPECT_EQ(takeAll(ring), (std::vector<std::uint64_t>{0, 1, 2, 3}));
  }
}

TEST_F(RingTest, Take_aBatchSmallerThanWhatIsThere_leavesTheRestInOrder) {
  Ring ring;
  ASSERT_EQ(ring.open(sized(8, 16)), 0);
  for (std::uint64_t i = 1; i <= 5; ++i) queueNop(ring, i);
  ASSERT_EQ(ring.enter(5, std::chrono::seconds(5)), 0);
  std::array<io_uring_cqe, 3> batch;
  ASSERT_EQ(ring.take(batch), 3U);
  EXPECT_EQ(batch[2].user_data, 3U);
  EXPECT_TRUE(ring.hasCompletions());
  EXPECT_EQ(takeAll(ring), (std::vector<std::uint64_t>{4, 5}));
  EXPECT_FALSE(ring.hasCompletions());
  EXPECT_EQ(ring.take(batch), 0U);
}

TEST_F(RingTest, Submit_handsOverWithoutTaking) {
  Ring ring;
  ASSERT_EQ(ring.open(sized(4, 8)), 0);
  queueNop(ring, 7);
  ASSERT_EQ(ring.submit(), 0);
  EXPECT_FALSE(ring.hasQueued());
  ASSERT_EQ(ring.enter(1, std::chrono::seconds(5)), 0);
  EXPECT_EQ(takeAll(ring), std::vector<std::uint64_t>{7});
}

TEST_F(RingTest, Enter_nothingCompletes_returnsAtItsTimeout) {
  Ring ring;
  ASSERT_EQ(ring.open(RingSetup()), 0);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(ring.enter(1, milliseconds(30)), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30));
  EXPECT_FALSE(ring.hasCompletions());
}

TEST_F(RingTest, Enter_zeroOrNegativeTimeout_doesNotWait) {
  Ring ring;
  ASSERT_EQ(ring.open(RingSetup()), 0);
  for (const nanoseconds timeout : {nanoseconds(0), nanoseconds(-1), nanoseconds::min()}) {
    EXPECT_EQ(ring.enter(1, timeout), 0);
  }
}

TEST_F(RingTest, Enter_interruptedBySignals_saysSoAndGoesOn) {
  Ring ring;
  ASSERT_EQ(ring.open(RingSetup()), 0);
  struct sigaction ignore {};
  ignore.sa_handler = [](int) {};  // without SA_RESTART
  struct sigaction before {};
  ::sigaction(SIGALRM, &ignore, &before);
  const itimerval soon{{0, 1000}, {0, 1000}};
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ring.enter(1, milliseconds(50)), -EINTR);
  const itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
  expectWorks(ring, 9);
  ::sigaction(SIGALRM, &before, nullptr);
}

TEST_F(RingTest, Overflow_moreCompletionsThanPlaces_areKeptAndToldLater) {
  Ring ring;
  ASSERT_EQ(ring.open(sized(4, 8)), 0);
  std::vector<std::uint64_t> expected;
  for (std::uint64_t i = 0; i < 12; ++i) {
    queueNop(ring, i);
    expected.push_back(i);
    if (i % 4 == 3) {
      ASSERT_EQ(ring.enter(0, nanoseconds::zero()), 0);
    }
  }
  EXPECT_TRUE(ring.hasOverflow());
  std::vector<std::uint64_t> tags = takeAll(ring);
  EXPECT_EQ(tags.size(), 8U);
  ASSERT_EQ(ring.enter(0, nanoseconds::zero()), 0);
  for (const std::uint64_t tag : takeAll(ring)) tags.push_back(tag);
  EXPECT_EQ(tags, expected);
  EXPECT_FALSE(ring.hasOverflow());
}

TEST_F(RingTest, Enter_fromAnotherThread_isRefused) {
  Ring ring;
  RingSetup setup;
  setup.registeredFd = false;
  ASSERT_EQ(ring.open(setup), 0);
  queueNop(ring, 1);
  int result = 0;
  std::thread([&] { result = ring.enter(0, nanoseconds::zero()); }).join();
  EXPECT_EQ(result, -EEXIST);
  ASSERT_EQ(ring.enter(1, std::chrono::seconds(5)), 0);
  EXPECT_EQ(takeAll(ring).size(), 1U);
}

TEST_F(RingTest, Move_theRingGoesOn) {
  Ring first;
  ASSERT_EQ(first.open(RingSetup()), 0);
  queueNop(first, 1);
  Ring second = std::move(first);
  EXPECT_FALSE(first.isOpen());
  ASSERT_EQ(second.enter(1, std::chrono::seconds(5)), 0);
  EXPECT_EQ(takeAll(second), std::vector<std::uint64_t>{1});
  expectWorks(second, 2);
}

TEST_F(RingTest, Open_impossibleSizes_isEinval) {
  Ring ring;
  EXPECT_EQ(ring.open(sized(0, 8)), -EINVAL);
  EXPECT_EQ(ring.open(sized(64, 8)), -EINVAL);
  EXPECT_FALSE(ring.isOpen());
}

// --- Each optional feature off: the paths of older kernels

TEST_F(RingTest, NoSqArray_off_theIndexArrayIsUsed) {
  Ring ring;
  RingSetup setup;
  setup.noSqArray = false;
  ASSERT_EQ(ring.open(setup), 0);
  EXPECT_EQ(ring.grant().setupFlags & uapi::kSetupNoSqArray, 0U);
  for (std::uint64_t i = 1; i <= 100; ++i) expectWorks(ring, i);
}

TEST_F(RingTest, NoSqArray_on_isGrantedWhereTheKernelHasIt) {
  Ring ring;
  RingSetup setup;
  setup.noSqArray = true;
  ASSERT_EQ(ring.open(setup), 0);
  const bool granted = (ring.grant().setupFlags & uapi::kSetupNoSqArray) != 0;
  EXPECT_EQ(granted, !isKernelBetween(0, 0, 6, 6));
  for (std::uint64_t i = 1; i <= 100; ++i) expectWorks(ring, i);
}

TEST_F(RingTest, NoIowait_off_works) {
  Ring ring;
  RingSetup setup;
  setup.noIowait = false;
  ASSERT_EQ(ring.open(setup), 0);
  expectWorks(ring, 1);
  EXPECT_EQ(ring.enter(1, milliseconds(1)), 0);
}

TEST_F(RingTest, RegisteredFd_off_works) {
  Ring ring;
  RingSetup setup;
  setup.registeredFd = false;
  ASSERT_EQ(ring.open(setup), 0);
  expectWorks(ring, 1);
}

// --- SQPOLL: a kernel thread submits

class PollingRingTest : public RingTest {
 protected:
  void SetUp() override {
    RingTest::SetUp();
    if (IsSkipped()) return;
    setup_.polling.enabled = true;
    setup_.polling.idle = milliseconds(1);
    ASSERT_EQ(ring_.open(setup_), 0);
  }

  RingSetup setup_;
  Ring ring_;
};

TEST_F(PollingRingTest, Open_theFlagsExcludeWhatThePollerForbids) {
  const std::uint32_t flags = ring_.grant().setupFlags;
  EXPECT_NE(flags & IORING_SETUP_SQPOLL, 0U);
  EXPECT_EQ(flags & (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
                     IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SQ_AFF),
            0U);
}

TEST_F(PollingRingTest, Enter_thePollerSleeps_isWoken) {
  for (std::uint64_t i = 1; i <= 10; ++i) {
    // Long past its idle time.
    EXPECT_EQ(ring_.enter(1, milliseconds(10)), 0);
    expectWorks(ring_, i);
  }
}

TEST_F(PollingRingTest, Submit_fullQueue_makesRoom) {
  for (std::uint64_t i = 0; i < 1000; ++i) {
    while (ring_.next() == nullptr) ASSERT_EQ(ring_.submit(), 0);
    if (i % 4 == 0) takeAll(ring_);
  }
  ASSERT_EQ(ring_.submit(), 0);
}

}  // namespace
}  // namespace gyre
