// A hot restart, seen from the old process: what the new one starts with, and what failing says.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "service/LaunchRecord.h"
#include "service/NewProcess.h"
#include "service/Predecessor.h"
#include "support/ChildProcess.h"

namespace gyre {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "(none)" : value;
}

// The new process: answers each name of a variable with its value.
int reportSurroundings(LineChannel& parent) {
  const UniqueFd pipe = Predecessor::takePipe();
  for (auto line = parent.hear(); line; line = parent.hear()) {
    if (*line == "pid") {
      parent.say(std::to_string(::getpid()));
    } else if (*line == "directory") {
      parent.say(std::filesystem::current_path().string());
    } else if (*line == "pipe") {
      parent.say(pipe ? "taken" : "refused");
    } else if (*line == "arguments") {
      parent.say(std::to_string(launchRecord().arguments.size()));
    } else {
      parent.say(variable(line->c_str()));
    }
  }
  return 0;
}

const ChildProgram kReporter("new-process-reporter", &reportSurroundings);

class NewProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::current_path();
    ::setenv("GYRE_TEST_CHILD", "new-process-reporter", 1);
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reader_ = UniqueFd(ends[0]);
    writer_ = UniqueFd(ends[1]);
  }
  void TearDown() override {
    for (const char* name : {"GYRE_TEST_CHILD", "WATCHDOG_PID", "LISTEN_FDNAMES"}) {
      ::unsetenv(name);
    }
    std::filesystem::current_path(directory_);
  }

  // The channel is the first inherited descriptor, where a child program expects it.
  void start() {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    channel_.emplace(UniqueFd(ends[0]));
    const UniqueFd first(ends[1]);
    NewProcess process({{first.get(), "web", "echo/0/[::]:7007"}, {1, "a:b", "two\nlines"}},
                       writer_.get());
    ASSERT_TRUE(process.start());
    writer_.reset();
  }
  std::string ask(const std::string& line) {
    channel_->say(line);
    return channel_->hear().value_or("(gone)");
  }

  std::filesystem::path directory_;
  UniqueFd reader_;
  UniqueFd writer_;
  std::optional<LineChannel> channel_;
};

TEST_F(NewProcessTest, Listeners_comeAsSystemdWouldPassThem) {
  start();
  const std::string pid = ask("pid");
  EXPECT_EQ(ask("LISTEN_PID"), pid);
  EXPECT_EQ(ask("LISTEN_FDS"), "2");
  EXPECT_EQ(ask("LISTEN_FDNAMES"), "web:unknown");
  EXPECT_EQ(ask("pipe"), "taken");
  EXPECT_EQ(ask("arguments"), std::to_string(launchRecord().arguments.size()));
  EXPECT_EQ(ask("WATCHDOG_PID"), "(none)");
}

TEST_F(NewProcessTest, Watchdog_ofThisProcess_isPassedOn) {
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  start();
  EXPECT_EQ(ask("WATCHDOG_PID"), ask("pid"));
}

TEST_F(NewProcessTest, Watchdog_ofAnotherProcess_staysTheirs) {
  ::setenv("WATCHDOG_PID", "1", 1);
  start();
  EXPECT_EQ(ask("WATCHDOG_PID"), "1");
}

TEST_F(NewProcessTest, WorkingDirectory_isThatOfTheFirstStart) {
  std::filesystem::current_path("/");
  start();
  EXPECT_EQ(ask("directory"), directory_.string());
}

TEST_F(NewProcessTest, TooManyDescriptors_isReportedWithItsCause) {
  NewProcess process({{std::numeric_limits<int>::max(), "", ""}}, writer_.get());
  ASSERT_TRUE(process.start());
  SuccessionReport report{};
  ASSERT_EQ(::read(reader_.get(), &report, sizeof report), static_cast<ssize_t>(sizeof report));
  EXPECT_EQ(report.kind, SuccessionReport::Kind::Failed);
  EXPECT_EQ(report.value, EBADF);
}

}  // namespace
}  // namespace gyre
