// PausedAcceptsTest: accepts that found no descriptor wait, and are taken up at the right time.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/LogFormat.h"
#include "gyre/base/Log.h"
#include "proactor/PausedAccepts.h"
#include "proactor/epoll/EpollProactor.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

class PausedAcceptsTest : public testing::Test {
 protected:
  static void ignore(IoContext&, const IoResult&) noexcept {}

  PausedAcceptsTest() {
    forgetLeftOutLines();
    setLogSink([this](LogLevel, std::string_view text) { logged_.emplace_back(text); });
    // As an engine does before it pauses one; complete() ends the flight again.
    for (IoContext* context : {&a_, &b_}) context->start(IoKind::Accept, SocketHandle(3));
  }
  ~PausedAcceptsTest() override {
    takeDue(kForever);
    for (IoContext* context : {&a_, &b_}) context->complete({});
    setLogSink({});
  }

  void pause(IoContext& context, int error, TimePoint now) {
    paused_.pause(context, error, now, counters_);
  }
  // Pauses one at `now`, and takes it up when it is due; returns how long that was.
  milliseconds pauseOnce(TimePoint now) {
    pause(a_, EMFILE, now);
    const TimePoint due = paused_.deadline();
    EXPECT_TRUE(takeDue(due - milliseconds(1)).empty());
    EXPECT_EQ(takeDue(due).size(), 1U);
    return std::chrono::duration_cast<milliseconds>(due - now);
  }
  std::vector<IoContext*> takeDue(TimePoint now) {
    IoQueue due;
    paused_.takeDue(now, due);
    std::vector<IoContext*> all;
    while (IoContext* context = due.pop()) all.push_back(context);
    return all;
  }
  const std::vector<std::string>& logged() {
    flushLog();
    return logged_;
  }

  static constexpr TimePoint kStart = TimePoint(std::chrono::hours(1));

  std::unique_ptr<Proactor> proactor_ = makeEpollProactor({});
  LoopCounters counters_;
  IoContext a_{&PausedAcceptsTest::ignore};
  IoContext b_{&PausedAcceptsTest::ignore};
  PausedAccepts paused_{*proactor_};
  std::vector<std::string> logged_;
};

TEST_F(PausedAcceptsTest, Deadline_nothingPaused_isNever) {
  EXPECT_TRUE(paused_.isEmpty());
  EXPECT_EQ(paused_.deadline(), kForever);
  EXPECT_TRUE(takeDue(kForever).empty());
}

TEST_F(PausedAcceptsTest, Pause_countsEachByItsCause) {
  for (const int error : {EMFILE, ENFILE, EMFILE}) {
    pause(a_, error, kStart);
    takeDue(kForever);
  }
  for (const int error : {ENOBUFS, ENOMEM}) {
    pause(a_, error, kStart);
    takeDue(kForever);
  }
  EXPECT_EQ(counters_.acceptsNoDescriptors.get(), 3U);
  EXPECT_EQ(counters_.acceptsNoMemory.get(), 2U);
}

TEST_F(PausedAcceptsTest, Pause_again_doublesFrom10To1000Milliseconds) {
  std::vector<milliseconds> delays;
  for (int i = 0; i < 9; ++i) delays.push_back(pauseOnce(kStart));
  const std::vector<milliseconds> expected = {
      milliseconds(10),  milliseconds(20),   milliseconds(40),
      milliseconds(80),  milliseconds(160),  milliseconds(320),
      milliseconds(640), milliseconds(1000), milliseconds(1000)};
  EXPECT_EQ(delays, expected);
}

TEST_F(PausedAcceptsTest, Pause_aLongRowOfFailures_staysAtASecond) {
  for (int i = 0; i < 100; ++i) pauseOnce(kStart);
  EXPECT_EQ(pauseOnce(kStart), milliseconds(1000));
}

TEST_F(PausedAcceptsTest, Succeeded_startsFromTheShortestDelay) {
  for (int i = 0; i < 5; ++i) pauseOnce(kStart);
  paused_.succeeded();
  EXPECT_EQ(pauseOnce(kStart), milliseconds(10));
}

TEST_F(PausedAcceptsTest, Pause_isLoggedOncePerRowOfFailures) {
  for (int i = 0; i < 5; ++i) pauseOnce(kStart);
  ASSERT_EQ(logged().size(), 1U);
  EXPECT_NE(logged()[0].find("RLIMIT_NOFILE"), std::string::npos) << logged()[0];
  forgetLeftOutLines();
  paused_.succeeded();
  pauseOnce(kStart);
  EXPECT_EQ(logged().size(), 2U);
}

// Clients that come and go at the limit end a row each.
TEST_F(PausedAcceptsTest, Pause_manyRowsOfFailures_areOneLineASecond) {
  for (int i = 0; i < 1000; ++i) {
    pauseOnce(kStart);
    paused_.succeeded();
  }
  EXPECT_LE(logged().size(), 2U) << "the second where the test took more than a second";
}

TEST_F(PausedAcceptsTest, Pause_isLoggedWithTheListenersAddress) {
  const SocketHandle listener = proactor_->listen(InetAddress::loopback(0), {});
  const std::string address = proactor_->localAddress(listener).toString();
  IoContext context(&PausedAcceptsTest::ignore);
  context.start(IoKind::Accept, listener);
  pause(context, EMFILE, kStart);
  takeDue(kForever);
  context.complete({});
  proactor_->close(listener);
  ASSERT_EQ(logged().size(), 1U);
  EXPECT_NE(logged()[0].find(address), std::string::npos) << logged()[0];
}

TEST_F(PausedAcceptsTest, TakeDue_atTheDeadline_isAllInOrder) {
  pause(b_, EMFILE, kStart);
  pause(a_, EMFILE, kStart);
  EXPECT_TRUE(takeDue(kStart).empty());
  EXPECT_EQ(takeDue(paused_.deadline()), (std::vector<IoContext*>{&b_, &a_}));
  EXPECT_TRUE(paused_.isEmpty());
  EXPECT_EQ(paused_.deadline(), kForever);
}

TEST_F(PausedAcceptsTest, TakeDue_aSocketWasClosed_doesNotWaitForTheDeadline) {
  pause(a_, EMFILE, kStart);
  pause(b_, EMFILE, kStart);
  proactor_->close(proactor_->socket(AF_INET));
  EXPECT_EQ(takeDue(kStart).size(), 2U);
  pause(a_, EMFILE, kStart);
  EXPECT_TRUE(takeDue(kStart).empty()) << "one close was taken for two";
}

TEST_F(PausedAcceptsTest, TakeDue_cancelled_isDueAtOnceAndTheOthersStay) {
  pause(a_, EMFILE, kStart);
  pause(b_, EMFILE, kStart);
  b_.set(IoContext::kCancelRequested);
  EXPECT_EQ(takeDue(kStart), (std::vector<IoContext*>{&b_}));
  EXPECT_FALSE(paused_.isEmpty());
}

TEST(ExhaustionTest, IsExhaustion_isWhatPassesWhenSomebodyCloses) {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) EXPECT_TRUE(isExhaustion(error));
  for (const int error : {0, EBADF, EINVAL, ECONNABORTED, EAGAIN, ECANCELED}) {
    EXPECT_FALSE(isExhaustion(error)) << error;
  }
}

}  // namespace
}  // namespace gyre
