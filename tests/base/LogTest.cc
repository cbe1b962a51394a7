// LogTest: levels, replaced sinks, and that no sink, however bad, reaches the caller.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <mutex>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/LogFormat.h"
#include "gyre/base/Log.h"

namespace gyre {
namespace {

static_assert(noexcept(log(LogLevel::Info, "")) && noexcept(flushLog()));

struct Message {
  LogLevel level;
  std::string text;
  std::thread::id thread;

  bool operator==(const Message&) const = default;
};

// What arrived at the sink, and a gate at which the sink can be held up.
class Recorder {
 public:
  LogSink sink() {
    return [this](LogLevel level, std::string_view text) {
      std::unique_lock lock(mutex_);
      messages_.push_back({level, std::string(text), std::this_thread::get_id()});
      changed_.notify_all();
      changed_.wait(lock, [this] { return isOpen_; });
    };
  }
  void close() { setOpen(Gate::Closed); }
  void open() { setOpen(Gate::Open); }
  void awaitFirstMessage() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !messages_.empty(); });
  }
  std::vector<Message> messages() {
    const std::lock_guard lock(mutex_);
    return messages_;
  }
  std::vector<std::string> texts() {
    std::vector<std::string> texts;
    for (const Message& message : messages()) texts.push_back(message.text);
    return texts;
  }

 private:
  enum class Gate { Open, Closed };
  void setOpen(Gate gate) {
    const std::lock_guard lock(mutex_);
    isOpen_ = gate == Gate::Open;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Message> messages_;
  bool isOpen_ = true;
};

class LogTest : public testing::Test {
 protected:
  void SetUp() override {
    forgetLeftOutLines();
    setLogLevel(LogLevel::Info);
    setLogSink(recorder.sink());
  }
  void TearDown() override {
    recorder.open();
    setLogSink(nullptr);
    setLogLevel(LogLevel::Info);
  }

  Recorder recorder;
};

constexpr std::array<LogLevel, 5> kLevels = {LogLevel::Trace, LogLevel::Debug, LogLevel::Info,
                                             LogLevel::Warn, LogLevel::Error};

TEST_F(LogTest, Level_letsThroughItselfAndAbove) {
  for (const LogLevel threshold : kLevels) {
    setLogLevel(threshold);
    EXPECT_EQ(logLevel(), threshold);
    const std::size_t before = recorder.messages().size();
    for (const LogLevel level : kLevels) log(level, "text");
    flushLog();
    const auto arrived = recorder.messages();
    ASSERT_EQ(arrived.size() - before, kLevels.size() - static_cast<std::size_t>(threshold));
    EXPECT_EQ(arrived[before].level, threshold);
    EXPECT_EQ(arrived.back().level, LogLevel::Error);
  }
}

TEST_F(LogTest, LevelOff_silencesAll_andIsNoMessageItself) {
  setLogLevel(LogLevel::Off);
  log(LogLevel::Error, "silenced");
  log(LogLevel::Off, "never a message");
  setLogLevel(LogLevel::Trace);
  log(LogLevel::Off, "never a message");
  flushLog();
  EXPECT_TRUE(recorder.messages().empty());
}

TEST_F(LogTest, Messages_arriveWholeAndInOrder_onOneOtherThread) {
  const std::string large(100'000, 'x');
  const std::string_view withZero("a\0b", 3);
  log(LogLevel::Warn, "");
  log(LogLevel::Info, withZero);
  log(LogLevel::Error, large);
  flushLog();
  const auto arrived = recorder.messages();
  ASSERT_EQ(arrived.size(), 3u);
  const std::thread::id thread = arrived[0].thread;
  EXPECT_NE(thread, std::this_thread::get_id());
  EXPECT_EQ(arrived[0], (Message{LogLevel::Warn, "", thread}));
  EXPECT_EQ(arrived[1], (Message{LogLevel::Info, std::string(withZero), thread}));
  EXPECT_EQ(arrived[2], (Message{LogLevel::Error, large, thread}));
}

TEST_F(LogTest, ManyThreads_loseNothingAndKeepEachThreadsOrder) {
  constexpr int kThreads = 4;
  constexpr int kEach = 400;  // all of them fit into the queue
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < kEach; ++i) log(LogLevel::Info, fmt::format("{} {}", t, i));
      flushLog();
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::array<int, kThreads> next = {};
  for (const std::string& text : recorder.texts()) {
    const auto t = static_cast<std::size_t>(text[0] - '0');
    ASSERT_EQ(text, fmt::format("{} {}", t, next[t]));
    ++next[t];
  }
  for (const int count : next) EXPECT_EQ(count, kEach);
}

TEST_F(LogTest, ReplacedSink_getsWhatCameBefore_andNothingAfter) {
  Recorder second;
  for (int i = 0; i < 1000; ++i) log(LogLevel::Info, "before");
  setLogSink(second.sink());
  log(LogLevel::Info, "after");
  flushLog();
  setLogSink(nullptr);
  EXPECT_EQ(recorder.texts(), std::vector<std::string>(1000, "before"));
  EXPECT_EQ(second.texts(), std::vector<std::string>{"after"});
}

TEST_F(LogTest, ReplacedSink_isDestroyedWhenSetLogSinkReturns) {
  auto held = std::make_shared<int>(1);
  setLogSink([held](LogLevel, std::string_view) { ++*held; });
  log(LogLevel::Info, "one");
  EXPECT_GT(held.use_count(), 1);
  setLogSink(nullptr);
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(*held, 2);
}

// Flushing gives up after a second each time: after two the other thread has, too, and waits on.
// The sink has no state of its own, so that it can tell even if it was destroyed too early.
TEST_F(LogTest, ReplacedSink_inACall_isWaitedFor) {
  static std::binary_semaphore isCalled(0);
  static std::binary_semaphore goOn(0);
  static std::atomic<bool> isReplaced;
  static std::atomic<bool> wasReplacedDuringCall;
  isReplaced = false;  // the tests may be repeated
  setLogSink([](LogLevel, std::string_view) {
    isCalled.release();
    goOn.acquire();
    wasReplacedDuringCall = isReplaced.load();
  });
  log(LogLevel::Info, "held up");
  isCalled.acquire();
  std::thread replacing([] {
    setLogSink(nullptr);
    isReplaced = true;
  });
  flushLog();
  flushLog();
  goOn.release();
  replacing.join();
  flushLog();
  EXPECT_FALSE(wasReplacedDuringCall);
}

TEST_F(LogTest, ThrowingSink_losesThatMessageOnly) {
  setLogSink([inner = recorder.sink()](LogLevel level, std::string_view text) {
    if (text == "std") throw std::runtime_error("from the sink");
    if (text == "int") throw 1;
    inner(level, text);
  });
  for (const auto* text : {"std", "first", "int", "second"}) log(LogLevel::Info, text);
  flushLog();
  EXPECT_EQ(recorder.texts(), (std::vector<std::string>{"first", "second"}));
}

TEST_F(LogTest, LoggingInsideTheSink_isDropped_andFlushReturns) {
  setLogSink([inner = recorder.sink()](LogLevel level, std::string_view text) {
    log(LogLevel::Error, "from the sink");
    flushLog();
    inner(level, text);
  });
  log(LogLevel::Info, "from outside");
  flushLog();
  flushLog();  // what the sink had queued would come before this one returns
  EXPECT_EQ(recorder.texts(), std::vector<std::string>{"from outside"});
}

// The sink is held up at its first message until the end: a caller that waited would hang here.
TEST_F(LogTest, BlockedSink_holdsUpNobody_andDropsTheOldestCounted) {
  constexpr int kMessages = 10'000;
  recorder.close();
  log(LogLevel::Info, "first");
  recorder.awaitFirstMessage();
  for (int i = 0; i < kMessages; ++i) log(LogLevel::Info, fmt::format("message {}", i));
  flushLog();
  EXPECT_EQ(recorder.messages().size(), 1u);
  recorder.open();
  flushLog();

  const auto arrived = recorder.messages();
  ASSERT_GT(arrived.size(), 1000u);
  EXPECT_EQ(arrived[1].level, LogLevel::Warn);
  int dropped = 0;
  char rest = 0;
  const int fields =
      std::sscanf(arrived[1].text.c_str(), "%d log messages were droppe%c", &dropped, &rest);
  ASSERT_EQ(fields, 2) << arrived[1].text;
  // The first and the report are not of those, and what flushLog queues may have cost two.
  const int delivered = static_cast<int>(arrived.size()) - 2;
  EXPECT_GE(dropped + delivered, kMessages);
  EXPECT_LE(dropped + delivered, kMessages + 2);
  for (std::size_t i = 2; i < arrived.size(); ++i) {
    const std::size_t number = kMessages - arrived.size() + i;
    ASSERT_EQ(arrived[i].text, fmt::format("message {}", number)) << "the newest, in order";
  }
}

TEST_F(LogTest, Drops_areReportedOnce) {
  recorder.close();
  log(LogLevel::Info, "first");
  recorder.awaitFirstMessage();
  for (int i = 0; i < 5'000; ++i) log(LogLevel::Info, "flood");
  recorder.open();
  flushLog();
  const std::size_t before = recorder.messages().size();
  log(LogLevel::Info, "calm");
  flushLog();
  const auto texts = recorder.texts();
  ASSERT_EQ(texts.size(), before + 1);
  EXPECT_EQ(texts.back(), "calm");
}

struct Evaluated {
  int* count;
};
struct Unformattable {};

}  // namespace
}  // namespace gyre

template <>
struct fmt::formatter<gyre::Evaluated> : fmt::formatter<int> {
  auto format(const gyre::Evaluated& value, format_context& context) const {
    return fmt::formatter<int>().format(++*value.count, context);
  }
};

template <>
struct fmt::formatter<gyre::Unformattable> : fmt::formatter<int> {
  auto format(const gyre::Unformattable&, format_context& context) const
      -> decltype(context.out()) {
    throw std::runtime_error("cannot be formatted");
  }
};

namespace gyre {
namespace {

TEST_F(LogTest, Format_everyLevel_formatsAndLogs) {
  setLogLevel(LogLevel::Trace);
  logTrace("{}", 1);
  logDebug("{} {}", 2, "two");
  logInfo("{:>5}", 3);
  logWarn("no argument");
  logError("{}", std::string("five"));
  flushLog();
  EXPECT_EQ(recorder.texts(),
            (std::vector<std::string>{"1", "2 two", "    3", "no argument", "five"}));
  std::size_t level = 0;
  for (const Message& message : recorder.messages()) EXPECT_EQ(message.level, kLevels[level++]);
}

TEST_F(LogTest, Format_belowTheLevel_formatsNothing) {
  int count = 0;
  setLogLevel(LogLevel::Off);
  logTrace("{}", Evaluated{&count});
  logDebug("{}", Evaluated{&count});
  logInfo("{}", Evaluated{&count});
  logWarn("{}", Evaluated{&count});
  logError("{}", Evaluated{&count});
  EXPECT_EQ(count, 0);
  setLogLevel(LogLevel::Error);
  logWarn("{}", Evaluated{&count});
  EXPECT_EQ(count, 0);
  logError("{}", Evaluated{&count});
  EXPECT_EQ(count, 1);
}

TEST_F(LogTest, Format_thatThrows_logsTheFormatString) {
  logInfo("value {} of {}", 1, Unformattable());
  flushLog();
  EXPECT_EQ(recorder.texts(), std::vector<std::string>{"value {} of {}"});
}

}  // namespace
}  // namespace gyre
