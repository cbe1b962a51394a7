// The gate by itself: who waits is served whenever a place becomes free, also in the middle of its
// turn, where a connection on another loop may close.
#include <sys/socket.h>

#include <atomic>
#include <thread>
#include <vector>

#include "server/AcceptGate.h"
#include "support/LoopFixture.h"

namespace gyre {
namespace {

class AcceptGateTest : public LoopFixture {
 protected:
  void TearDown() override {
    if (gate_ != nullptr) gate_->close();
    group_->forget();
    gate_.reset();
    LoopFixture::TearDown();
  }

  void make(const ServerLimits& limits) {
    ConnectionGroup::Hooks events;
    events.onCapacity = [this] {
      ++notifications_;
      gate_->handleCapacity();
    };
    group_ = makeRef<ConnectionGroup>(loop().mailbox(), std::move(events));
    group_->setLoops({&loop()});
    admission_ = std::make_unique<Admission>(group_);
    admission_->setLimits(limits);
    AcceptGate::Hooks hooks;
    hooks.place = [this](const Arrival& arrival) {
      group_->place(0);
      placed_.push_back(arrival.id);
      loop().proactor().close(arrival.socket);
    };
    hooks.handOver = [this] {
      if (onHandOver_) onHandOver_();
    };
    hooks.pause = [this] {
      isAccepting_ = false;
      if (onPause_) onPause_();
    };
    hooks.resume = [this] { isAccepting_ = true; };
    gate_ = std::make_unique<AcceptGate>(&loop(), *admission_, std::move(hooks));
  }
  void offer() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    gate_->offer({loop().proactor().adopt(fd), ++lastId_, nullptr});
  }
  void offerBatch(int count) {
    for (int i = 0; i < count; ++i) offer();
    gate_->endTurn();
  }
  // One of those that were placed closes.
  void closeOne() { group_->remove(&loop(), placed_.front()); }

  RefPtr<ConnectionGroup> group_;
  std::unique_ptr<Admission> admission_;
  std::unique_ptr<AcceptGate> gate_;
  std::function<void()> onHandOver_;
  std::function<void()> onPause_;
  std::vector<std::uint64_t> placed_;
  std::uint64_t lastId_ = 0;
  int notifications_ = 0;
  bool isAccepting_ = true;
};

TEST_F(AcceptGateTest, BeyondTheLimit_theyWaitInOrder_andEachThatClosesLetsOneIn) {
  make({.connectionsMax = 2});
  offerBatch(5);
  EXPECT_EQ(placed_.size(), 2U);
  EXPECT_EQ(gate_->waitingCount(), 3U);
  EXPECT_FALSE(isAccepting_);
  for (std::size_t in = 3; in <= 5; ++in) {
    closeOne();
    ASSERT_TRUE(runUntil([&] { return placed_.size() == in; }));
    EXPECT_FALSE(isAccepting_) << "it is full again";
  }
  closeOne();
  ASSERT_TRUE(runUntil([&] { return isAccepting_; }));
  EXPECT_EQ(placed_, (std::vector<std::uint64_t>{1, 2, 3, 4, 5}));
}

// The place is found taken, the one that has it closes on its own loop, the socket waits.
TEST_F(AcceptGateTest, OneClosesBetweenTheLookAndTheWaiting_theSocketIsServedInTheSameTurn) {
  make({.connectionsMax = 1});
  offerBatch(1);
  bool isClosed = false;
  onHandOver_ = [&] {
    if (!std::exchange(isClosed, true)) closeOne();
  };
  offerBatch(1);
  ASSERT_TRUE(runUntil([&] { return placed_.size() == 2; }));
  EXPECT_EQ(gate_->waitingCount(), 0U);
}

TEST_F(AcceptGateTest, OneClosesWhileItPauses_itGoesOn) {
  make({.connectionsMax = 1});
  onPause_ = [&] { closeOne(); };
  offerBatch(1);
  ASSERT_TRUE(runUntil([&] { return isAccepting_; }));
  EXPECT_EQ(group_->size(), 0U);
}

// As where there is no memory for the one that was let in last.
TEST_F(AcceptGateTest, HandOverFails_theNextOneWaitsForNothing) {
  make({.connectionsMax = 1});
  offerBatch(4);
  ASSERT_EQ(placed_.size(), 1U);
  onHandOver_ = [&] {
    if (group_->size() != 0) closeOne();
  };
  closeOne();
  ASSERT_TRUE(runUntil([&] { return placed_.size() == 4; }));
  EXPECT_TRUE(isAccepting_);
  EXPECT_EQ(notifications_, 1) << "all in one turn";
}

TEST_F(AcceptGateTest, Refuse_closesThoseBeyondTheLimit_andNeverPauses) {
  make({.connectionsMax = 2, .atConnectionsMax = OverloadPolicy::Refuse});
  offerBatch(5);
  EXPECT_EQ(placed_.size(), 2U);
  EXPECT_EQ(gate_->waitingCount(), 0U);
  EXPECT_TRUE(isAccepting_);
  ServerStats stats;
  admission_->fill(stats);
  EXPECT_EQ(stats.refusedByConnections, 3U);
}

TEST_F(AcceptGateTest, TooManyOnTheirWay_acceptingPausesUntilHalfOfThemHaveArrived) {
  make({});
  group_->setArrivingMax(100);
  onHandOver_ = [&, seen = std::size_t{0}]() mutable {
    group_->beginArriving(placed_.size() - std::exchange(seen, placed_.size()));
  };
  offerBatch(99);
  EXPECT_TRUE(isAccepting_);
  offerBatch(1);
  EXPECT_FALSE(isAccepting_);
  offerBatch(20);  // those that the kernel had accepted by then
  EXPECT_EQ(gate_->waitingCount(), 20U);
  onHandOver_ = nullptr;
  group_->endArriving(49);
  settle();
  EXPECT_FALSE(isAccepting_);
  group_->endArriving(1);
  ASSERT_TRUE(runUntil([&] { return isAccepting_; }));
  EXPECT_EQ(placed_.size(), 120U);
}

TEST_F(AcceptGateTest, Close_closesThoseThatWait) {
  make({.connectionsMax = 1});
  const std::size_t before = openDescriptors();
  offerBatch(1);
  offer();
  offer();
  EXPECT_EQ(openDescriptors(), before + 2);
  gate_->close();
  EXPECT_EQ(openDescriptors(), before);
}

// Whatever the interleaving: all are served. The closing thread is where the connections live.
TEST_F(AcceptGateTest, AnotherThreadClosesThem_noneIsForgotten) {
  constexpr std::uint64_t kSockets = 2000;
  make({.connectionsMax = 3});
  std::atomic<std::uint64_t> open{0};
  std::atomic<bool> isOver{false};
  onHandOver_ = [&, seen = std::size_t{0}]() mutable {
    open += placed_.size() - std::exchange(seen, placed_.size());
  };
  std::thread closing([&] {
    for (std::uint64_t closed = 0; !isOver;) {
      while (closed < open) group_->remove(&loop(), ++closed);
      std::this_thread::yield();
    }
  });
  while (lastId_ < kSockets) {
    if (isAccepting_) {
      offerBatch(static_cast<int>(lastId_ % 3) + 1);
    } else if (!runUntil([&] { return isAccepting_; })) {
      break;
    }
  }
  EXPECT_TRUE(runUntil([&] { return placed_.size() >= kSockets && isAccepting_; }));
  isOver = true;
  closing.join();
}

}  // namespace
}  // namespace gyre
