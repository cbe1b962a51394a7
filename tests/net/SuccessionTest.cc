// A new process that takes over, seen from that process.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>

#include "net/Succession.h"

namespace gyre {
namespace {

TEST(SuccessionTest, Announce_toAProcessThatHasDied_isSurvived) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto announce = [] {
    ::signal(SIGPIPE, SIG_DFL);
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) ::_exit(1);
    ::close(ends[0]);
    ::setenv("GYRE_SUCCESSION_FD", std::to_string(ends[1]).c_str(), 1);
    Succession::announce();
    ::_exit(std::signal(SIGPIPE, SIG_DFL) == SIG_DFL ? 0 : 2);
  };
  EXPECT_EXIT(announce(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace gyre
