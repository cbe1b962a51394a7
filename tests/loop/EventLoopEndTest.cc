// EventLoopEndTest: what a loop does with residents, functors and timers when it ends.
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gyre/loop/EventLoop.h"
#include "loop/LoopRun.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

// Runs `action` when it dies: as the captured owner of something does.
struct OnDeath {
  explicit OnDeath(std::function<void()> run) : action(std::move(run)) {}
  OnDeath(const OnDeath&) = delete;
  OnDeath& operator=(const OnDeath&) = delete;
  ~OnDeath() { action(); }
  std::function<void()> action;
};

class EventLoopEndTest : public testing::Test {
 protected:
  // Valid to the very end of its destructor, where loop_ is empty already.
  EventLoop& loop() { return *address_; }

  std::string log_;
  std::optional<EventLoop> loop_{std::in_place};

 private:
  EventLoop* address_ = &*loop_;
};

TEST_F(EventLoopEndTest, Destructor_queuedFunctors_run) {
  for (int i = 0; i < 3; ++i) loop().queueInLoop([this] { log_ += 'f'; });
  loop_.reset();
  EXPECT_EQ(log_, "fff");
}

TEST_F(EventLoopEndTest, Destructor_pendingTimers_areDestroyedUnrun) {
  auto token = std::make_shared<int>(1);
  loop().runAfter(std::chrono::hours(1), [this, token] { log_ += 'x'; });
  loop().runEvery(std::chrono::hours(1), [this, token] { log_ += 'x'; });
  loop_.reset();
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_EQ(log_, "");
}

TEST_F(EventLoopEndTest, Post_afterTheEnd_saysNoAndDestroysTheFunctorHere) {
  const RefPtr<Mailbox> mailbox = loop().mailbox();
  loop_.reset();
  auto token = std::make_shared<int>(1);
  EXPECT_FALSE(mailbox->post([token] {}));
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(EventLoopEndTest, Functor_ofTheEnd_queuesAnother_thatIsRefused) {
  bool accepted = true;
  loop().queueInLoop([&] {
    // The loop's end takes what there is by then in a first round, and closes the door behind it.
    loop().queueInLoop([&] { accepted = loop().queueInLoop([] {}); });
  });
  loop_.reset();
  EXPECT_FALSE(accepted);
}

// The usual owner of a timer cancels it when it dies; often the timer itself keeps it alive.
TEST_F(EventLoopEndTest, Timer_whoseCaptureCancelsTimers_diesInPeace) {
  const TimerId other = loop().runAfter(std::chrono::hours(1), [] {});
  auto owner = std::make_shared<OnDeath>([this, other] {
    loop().cancel(other);
    log_ += 'd';
  });
  loop().runAfter(std::chrono::hours(1), [owner] {});
  owner.reset();
  loop_.reset();
  EXPECT_EQ(log_, "d");
}

TEST_F(EventLoopEndTest, Timer_whoseCaptureSetsATimer_thatIsDestroyedToo) {
  auto token = std::make_shared<int>(1);
  auto owner = std::make_shared<OnDeath>([this, &token] {
    loop().runAfter(std::chrono::hours(1), [token] {});
    loop().queueInLoop([token] {});
  });
  loop().runAfter(std::chrono::hours(1), [owner] {});
  owner.reset();
  loop_.reset();
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(EventLoopEndTest, Captures_dieOnTheLoopsThreadAndInTheLoop) {
  EventLoop* current = nullptr;
  auto owner = std::make_shared<OnDeath>([&] { current = EventLoop::current(); });
  loop().runAfter(std::chrono::hours(1), [owner] {});
  owner.reset();
  EventLoop* const expected = &loop();
  loop_.reset();
  EXPECT_EQ(current, expected);
}

// --- Residents

class Resident : public LoopResident {
 public:
  Resident(EventLoop& loop, std::string& log) : loop_(loop), log_(log) {}
  ~Resident() override { log_ += 'd'; }
  void beginClose() noexcept override {
    if (std::exchange(isClosing_, true)) return;
    log_ += 'b';
    closeSoon();
  }
  void settle() noexcept override { log_ += 's'; }

 protected:
  virtual void closeSoon() {
    loop_.queueInLoop([this] { leave(); });
  }
  void leave() {
    log_ += 'l';
    loop_.removeResident(*this);
  }

  EventLoop& loop_;
  std::string& log_;

 private:
  bool isClosing_ = false;
};

// Has an operation in flight, which must be joined before it can leave.
class ReadingResident final : public Resident {
 public:
  ReadingResident(EventLoop& loop, std::string& log)
      : Resident(loop, log), handle_(loop.proactor().adopt(::eventfd(0, EFD_CLOEXEC))) {}

  void start() {
    loop_.proactor().read(read_, handle_, {reinterpret_cast<char*>(&value_), sizeof value_});
  }
  void closeSoon() override { loop_.proactor().cancel(read_); }

 private:
  static void handleRead(IoContext& context, const IoResult& result) noexcept {
    ReadingResident& self = ownerOf<&ReadingResident::read_>(context);
    EXPECT_EQ(result.error, ECANCELED);
    self.loop_.proactor().close(self.handle_);
    self.leave();
  }

  const SocketHandle handle_;
  std::uint64_t value_ = 0;
  IoContext read_{&ReadingResident::handleRead};
};

// Needs time to close, as a connection that lingers.
class LingeringResident final : public Resident {
 public:
  using Resident::Resident;
  void closeSoon() override {
    loop_.runAfter(milliseconds(20), [this] { leave(); });
  }
};

TEST_F(EventLoopEndTest, Destructor_residents_areClosedJoinedAndDestroyed) {
  auto reading = std::make_shared<ReadingResident>(loop(), log_);
  loop().addResident(reading);
  reading->start();
  reading.reset();
  loop().runOnce(kNoWait);
  EXPECT_EQ(loop().residentCount(), 1U);
  loop_.reset();
  // removeResident marks it dirty: its settle is the last that runs of it.
  EXPECT_EQ(log_, "blsd");
}

TEST_F(EventLoopEndTest, Destructor_aResidentThatNeedsTime_isWaitedFor) {
  loop().addResident(std::make_shared<LingeringResident>(loop(), log_));
  loop_.reset();
  EXPECT_EQ(log_, "blsd");
}

TEST_F(EventLoopEndTest, Destructor_aFunctorPlacesAResident_thatIsClosedToo) {
  loop().queueInLoop(
      [this] { loop().addResident(std::make_shared<LingeringResident>(loop(), log_)); });
  loop_.reset();
  EXPECT_EQ(log_, "blsd");
}

TEST_F(EventLoopEndTest, RemoveResident_itStaysAliveUntilTheIterationsEnd) {
  auto resident = std::make_shared<Resident>(loop(), log_);
  loop().addResident(resident);
  loop().queueInLoop([this, weak = std::weak_ptr<Resident>(resident)] {
    loop().removeResident(*weak.lock());
    EXPECT_FALSE(weak.expired());
  });
  resident.reset();
  loop().runOnce(kNoWait);
  EXPECT_EQ(log_, "sd");
  EXPECT_EQ(loop().residentCount(), 0U);
}

TEST_F(EventLoopEndTest, MarkDirty_settlesOncePerIterationBeforeTheWait) {
  auto resident = std::make_shared<Resident>(loop(), log_);
  loop().addResident(resident);
  for (int i = 0; i < 3; ++i) loop().markDirty(*resident);
  loop().runOnce(kNoWait);
  EXPECT_EQ(log_, "s");
  loop().runOnce(kNoWait);
  EXPECT_EQ(log_, "s");
  resident.reset();
  loop_.reset();
  EXPECT_EQ(log_, "sblsd");
}

// --- Several loops

TEST_F(EventLoopEndTest, Loops_onOneThread_endInAnyOrder) {
  std::optional<EventLoop> other(std::in_place);
  const RefPtr<Mailbox> first = loop().mailbox();
  bool accepted = true;
  other->queueInLoop([&, first] { accepted = first->post([] {}); });
  loop().queueInLoop(
      [this, mailbox = other->mailbox()] { log_ += mailbox->post([] {}) ? 'y' : 'n'; });
  loop_.reset();
  other.reset();
  EXPECT_EQ(log_, "y");
  EXPECT_FALSE(accepted);
}

// --- What is forbidden

class EventLoopDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static void onAnotherThread(const std::function<void()>& body) { std::thread(body).join(); }
};

TEST_F(EventLoopDeathTest, AssertInLoopThread_elsewhere_saysUseRunInLoop) {
  EXPECT_DEATH(
      {
        EventLoop loop;
        onAnotherThread([&] { loop.assertInLoopThread(); });
      },
      "another thread.*runInLoop");
}

TEST_F(EventLoopDeathTest, Loop_onAnotherThread_isCaught) {
  EXPECT_DEATH(
      {
        EventLoop loop;
        onAnotherThread([&] { loop.loop(); });
      },
      "another thread");
}

TEST_F(EventLoopDeathTest, Destructor_onAnotherThread_isCaught) {
  EXPECT_DEATH(
      {
        auto loop = std::make_unique<EventLoop>();
        onAnotherThread([&] { loop.reset(); });
      },
      "another thread");
}

TEST_F(EventLoopDeathTest, Destructor_insideLoop_isCaught) {
  EXPECT_DEATH(
      {
        auto loop = std::make_unique<EventLoop>();
        loop->queueInLoop([&] { loop.reset(); });
        loop->loop();
      },
      "from inside its loop");
}

TEST_F(EventLoopDeathTest, RunOnce_insideAnIoHandler_isCaught) {
  EXPECT_DEATH(
      {
        EventLoop loop;
        static EventLoop* running = &loop;
        IoContext poll([](IoContext&, const IoResult&) noexcept { running->runOnce(kNoWait); });
        loop.proactor().poll(poll, loop.proactor().adopt(::eventfd(1, EFD_CLOEXEC)), 1);
        loop.runOnce(loop.now() + std::chrono::seconds(10));
      },
      "inside an I/O handler");
}

// There user callbacks run, too, and the list of the dirty is being walked.
TEST_F(EventLoopDeathTest, RunOnce_insideSettle_isCaught) {
  class RunsInSettle final : public LoopResident {
   public:
    explicit RunsInSettle(EventLoop& loop) : loop_(loop) {}
    void beginClose() noexcept override {}
    void settle() noexcept override { loop_.runOnce(kNoWait); }

   private:
    EventLoop& loop_;
  };
  EXPECT_DEATH(
      {
        EventLoop loop;
        auto resident = std::make_shared<RunsInSettle>(loop);
        loop.addResident(resident);
        loop.markDirty(*resident);
        loop.runOnce(kNoWait);
      },
      "inside an I/O handler");
}

TEST_F(EventLoopDeathTest, RunEvery_withoutAnInterval_isCaught) {
  EXPECT_DEATH(EventLoop().runEvery(Duration::zero(), [] {}), "interval above zero");
}

}  // namespace
}  // namespace gyre
