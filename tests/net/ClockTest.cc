// Leaps of the wall clock, by years and both ways: nothing is closed for them, and nothing late.
// The process believes libfaketime, which fakes CLOCK_REALTIME and leaves the monotonic clocks.
// (The kernel's own clock is everybody's: no test sets it.)
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "support/LoopFixture.h"
#include "support/Peer.h"
#include "support/Sanitizers.h"
#include "support/ServerProcess.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kYear = 365 * 24 * 3600;

// As the package `libfaketime` installs it.
std::string fakeTimeLibrary() {
  for (const auto& folder : std::filesystem::directory_iterator("/usr/lib")) {
    const std::filesystem::path path = folder.path() / "faketime/libfaketimeMT.so.1";
    if (std::filesystem::exists(path)) return path;
  }
  return "";
}

class ClockTest : public LoopFixture {
 protected:
  void SetUp() override {
    LoopFixture::SetUp();
    library_ = fakeTimeLibrary();
#ifdef GYRE_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer wants to be the first library";
#endif
    if (library_.empty()) GTEST_SKIP() << "libfaketime is not installed";
    leap("+0");
  }
  void TearDown() override {
    std::filesystem::remove(offset_);
    LoopFixture::TearDown();
  }

  // From now on the process sees another wall clock.
  void leap(const std::string& offset) {
    const std::string next = offset_.string() + ".next";
    std::ofstream(next) << offset << '\n';
    std::filesystem::rename(next, offset_);
  }
  ServerProcess::Options faked() const {
    ServerProcess::Options options;
    options.idle = kIdle;
    options.environment = {"LD_PRELOAD=" + library_, "FAKETIME_TIMESTAMP_FILE=" + offset_.string(),
                           "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1",
                           "DONT_FAKE_MONOTONIC=1"};
    return options;
  }

  static constexpr milliseconds kIdle{500};

  std::string library_;
  const std::filesystem::path offset_ =
      std::filesystem::temp_directory_path() / ("gyre-clock-" + std::to_string(::getpid()));
};

TEST_F(ClockTest, WallClockLeaps_closeNothing_andDelayNothing) {
  ServerProcess server(faked());
  std::optional<Peer> peer(std::in_place, server.address());
  auto spokeAt = Clock::now();
  const std::int64_t begin = server.counters().wallClock;
  for (const auto& [offset, years] : {std::pair("+10y", 10), std::pair("-20y", -20)}) {
    const auto leaptAt = Clock::now();
    leap(offset);
    EXPECT_NEAR(static_cast<double>(server.counters().wallClock - begin),
                static_cast<double>(years * kYear), 100.0 * 24 * 3600)
        << "or it is no leap";
    const bool isHeard = peer->send("hello") && peer->receive(5) == "hello";
    // On a busy machine it may have been silent for so long.
    EXPECT_TRUE(isHeard || Clock::now() - spokeAt > kIdle);
    if (!isHeard) peer.emplace(server.address());
    spokeAt = Clock::now();
    Peer late(server.address());
    ASSERT_TRUE(late.send("hello"));
    EXPECT_EQ(late.receive(5), "hello");
    const std::uint64_t timeouts = server.counters().timeouts;
    EXPECT_TRUE(timeouts == 0 || !isHeard || Clock::now() - leaptAt > kIdle) << timeouts;
  }
  // Then silence: idle is idle, by the time that passes.
  peer.emplace(server.address());
  const auto silentAt = Clock::now();
  ASSERT_TRUE(peer->send("x"));
  EXPECT_EQ(peer->receiveToEnd(), "x");
  EXPECT_GE(Clock::now() - silentAt, kIdle - milliseconds(5));
  EXPECT_LE(Clock::now() - silentAt, kPatience);
}

}  // namespace
}  // namespace gyre
