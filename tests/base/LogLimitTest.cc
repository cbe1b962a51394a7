// LogLimitTest: a flood of lines is one per second and kind, and no line that was left out is lost
// from the count.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/LogFormat.h"
#include "base/LogLimit.h"
#include "gyre/base/Log.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr LogLimit::TimePoint kStart{std::chrono::hours(1)};
constexpr const char* kOne = "one {}";
constexpr const char* kOther = "other {}";

std::vector<std::pair<std::string, std::uint64_t>> reported;
void note(const LogLimit::Report& report) { reported.emplace_back(report.kind, report.leftOut); }

class LogLimitTest : public testing::Test {
 protected:
  LogLimitTest() { reported.clear(); }

  bool admits(const char* kind, LogLimit::TimePoint now) {
    const LogLimit::Answer answer = limit_.ask(kind, LogLevel::Info, now);
    leftOut_ = answer.leftOut;
    return answer.isAdmitted;
  }

  LogLimit limit_;
  std::uint64_t leftOut_ = 0;  // as the last answer said
};

TEST_F(LogLimitTest, Ask_withinASecond_leavesOutAndCounts) {
  EXPECT_TRUE(admits(kOne, kStart));
  EXPECT_EQ(leftOut_, 0U);
  for (int i = 0; i < 7; ++i) EXPECT_FALSE(admits(kOne, kStart + milliseconds(999)));
  EXPECT_TRUE(admits(kOne, kStart + seconds(1)));
  EXPECT_EQ(leftOut_, 7U);
  EXPECT_TRUE(admits(kOne, kStart + seconds(2)));
  EXPECT_EQ(leftOut_, 0U) << "told once";
}

TEST_F(LogLimitTest, Kinds_doNotLimitEachOther) {
  EXPECT_TRUE(admits(kOne, kStart));
  EXPECT_TRUE(admits(kOther, kStart));
  EXPECT_FALSE(admits(kOne, kStart));
}

TEST_F(LogLimitTest, MoreKindsThanPlaces_areStillLimited) {
  std::vector<char> texts(1000);  // as many addresses
  int admitted = 0;
  for (const char& text : texts) admitted += admits(&text, kStart) ? 1 : 0;
  EXPECT_EQ(admitted, static_cast<int>(LogLimit::kKindsMax));
  for (const char& text : texts) EXPECT_FALSE(admits(&text, kStart));
}

TEST_F(LogLimitTest, ReportDue_aSecondWithoutALine_tellsWhatWasLeftOut) {
  admits(kOne, kStart);
  for (int i = 0; i < 3; ++i) admits(kOne, kStart);
  EXPECT_TRUE(limit_.reportDue(kStart + milliseconds(1999), &note)) << "the next line may tell";
  EXPECT_TRUE(reported.empty());
  EXPECT_FALSE(limit_.reportDue(kStart + seconds(2), &note));
  ASSERT_EQ(reported.size(), 1U);
  EXPECT_EQ(reported[0], std::make_pair(std::string(kOne), std::uint64_t{3}));
  EXPECT_FALSE(admits(kOne, kStart + milliseconds(2999))) << "a report is a line of its kind";
}

TEST_F(LogLimitTest, Threads_everyLineIsAdmittedOrCounted) {
  constexpr std::uint64_t kThreads = 4;
  constexpr std::uint64_t kEach = 20'000;
  std::atomic<std::uint64_t> admitted{0};
  std::atomic<std::uint64_t> told{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        // A second passes with every hundredth line.
        const auto now = kStart + milliseconds(10 * i);
        const LogLimit::Answer answer = limit_.ask(kOne, LogLevel::Info, now);
        if (answer.isAdmitted) admitted.fetch_add(1);
        told.fetch_add(answer.leftOut);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  limit_.reportAll(&note);
  for (const auto& [kind, leftOut] : reported) told.fetch_add(leftOut);
  EXPECT_EQ(admitted.load() + told.load(), kThreads * kEach);
  EXPECT_LE(admitted.load(), kEach / 100);
}

// --- Through the functions that log

class LogFloodTest : public testing::Test {
 protected:
  LogFloodTest() {
    forgetLeftOutLines();
    setLogSink([this](LogLevel, std::string_view text) { lines_.emplace_back(text); });
  }
  ~LogFloodTest() override {
    setLogSink(nullptr);
    forgetLeftOutLines();
  }
  const std::vector<std::string>& lines() {
    flushLog();
    return lines_;
  }

 private:
  std::vector<std::string> lines_;
};

TEST_F(LogFloodTest, ManyLines_areAFewThatSayHowManyMore) {
  constexpr int kLines = 200;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kLines; ++i) logWarn("flood of {}", i);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LE(lines().size(), 1U + static_cast<std::size_t>(took / seconds(1)));
  while (reportLeftOutLines()) std::this_thread::sleep_for(milliseconds(50));
  EXPECT_NE(lines().back().find("more"), std::string::npos) << lines().back();
  EXPECT_NE(lines().back().find("flood of {}"), std::string::npos) << lines().back();
}

TEST_F(LogFloodTest, DebugLines_areNotLimited) {
  setLogLevel(LogLevel::Debug);
  for (int i = 0; i < 50; ++i) logDebug("step {}", i);
  setLogLevel(LogLevel::Info);
  EXPECT_EQ(lines().size(), 50U);
}

TEST_F(LogFloodTest, ValuesOfALineLeftOut_areNotFormatted) {
  logInfo("to {}", InetAddress("192.0.2.1:80"));
  logInfo("to {}", InetAddress("192.0.2.2:80"));
  ASSERT_EQ(lines().size(), 1U);
  EXPECT_EQ(lines()[0], "to 192.0.2.1:80");
}

}  // namespace
}  // namespace gyre
