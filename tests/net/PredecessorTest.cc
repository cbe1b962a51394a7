// A hot restart, seen from the new process: which pipe it believes in, and what it says there.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>

#include "gyre/base/UniqueFd.h"
#include "service/NewProcess.h"
#include "service/Predecessor.h"
#include "support/LoopFixture.h"

namespace gyre {
namespace {

class PredecessorTest : public LoopFixture {
 protected:
  void SetUp() override {
    LoopFixture::SetUp();
    makePipe();
    setEnvironment(nameOf(writer_.get()), std::to_string(::getpid()));
  }
  void TearDown() override {
    ::unsetenv("LISTEN_PID");
    endLoop();
    reader_.reset();
    writer_.reset();
    LoopFixture::TearDown();
  }

  void makePipe() {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    reader_ = UniqueFd(ends[0]);
    writer_ = UniqueFd(ends[1]);
  }
  static std::string inodeOf(int descriptor) {
    struct stat status {};
    ::fstat(descriptor, &status);
    return std::to_string(status.st_ino);
  }
  static std::string nameOf(int descriptor) {
    return std::to_string(descriptor) + ":" + inodeOf(descriptor);
  }
  static void setEnvironment(const std::string& pipe, const std::string& pid) {
    ::setenv("GYRE_SUCCESSION_FD", pipe.c_str(), 1);
    ::setenv("LISTEN_PID", pid.c_str(), 1);
  }
  // Nothing was closed or written, and children do not see the variable.
  void expectRefused(const std::string& what) {
    EXPECT_FALSE(Predecessor::takePipe()) << what;
    EXPECT_EQ(std::getenv("GYRE_SUCCESSION_FD"), nullptr) << what;
    EXPECT_NE(::fcntl(writer_.get(), F_GETFD), -1) << what;
    ::fcntl(reader_.get(), F_SETFL, O_NONBLOCK);
    char byte = 0;
    EXPECT_EQ(::read(reader_.get(), &byte, 1), -1) << what;
  }

  UniqueFd reader_;
  UniqueFd writer_;
};

TEST_F(PredecessorTest, ThePipeMadeForThisProcess_isTaken_andNoChildSeesIt) {
  UniqueFd pipe = Predecessor::takePipe();
  EXPECT_EQ(pipe.get(), writer_.release());
  EXPECT_EQ(std::getenv("GYRE_SUCCESSION_FD"), nullptr);
  EXPECT_EQ(::fcntl(pipe.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(PredecessorTest, WhatIsNoPipeOfThisProcess_isLeftAlone) {
  const std::string pid = std::to_string(::getpid());
  const std::string fd = std::to_string(writer_.get());
  const std::string inode = inodeOf(writer_.get());
  for (const std::string& text :
       {std::string(), std::string("1"), fd, fd + ":", ":" + inode, fd + ":" + inode + " ",
        " " + fd + ":" + inode, "-" + fd + ":" + inode, fd + "x:" + inode, fd + ":1", fd + ":-1",
        "99999999999:" + inode, "1:" + inode, nameOf(reader_.get()), nameOf(1)}) {
    setEnvironment(text, pid);
    expectRefused("GYRE_SUCCESSION_FD=" + text);
  }
  setEnvironment(nameOf(writer_.get()), "1");
  expectRefused("of another process");
  setEnvironment(nameOf(writer_.get()), pid + " ");
  expectRefused("a pid with a blank");
  ::unsetenv("LISTEN_PID");
  ::setenv("GYRE_SUCCESSION_FD", nameOf(writer_.get()).c_str(), 1);
  expectRefused("of no process");
  const UniqueFd file(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  setEnvironment(nameOf(file.get()), pid);
  expectRefused("no pipe");
}

TEST_F(PredecessorTest, Announce_reportsThePid_andWaitsUntilThatWasTakenNoteOf) {
  bool isReleased = false;
  Predecessor::announce(&loop(), std::move(writer_), [&] { isReleased = true; });
  SuccessionReport report{};
  ASSERT_EQ(::read(reader_.get(), &report, sizeof report), static_cast<ssize_t>(sizeof report));
  EXPECT_EQ(report.kind, SuccessionReport::Kind::Serves);
  EXPECT_EQ(report.value, ::getpid());
  settle();
  EXPECT_FALSE(isReleased);
  reader_.reset();
  EXPECT_TRUE(runUntil([&] { return isReleased && loop().residentCount() == 0; }));
}

TEST_F(PredecessorTest, Announce_toAProcessThatHasDied_isSurvived) {
  sigset_t pending;
  bool isReleased = false;
  reader_.reset();
  Predecessor::announce(&loop(), std::move(writer_), [&] { isReleased = true; });
  EXPECT_TRUE(runUntil([&] { return isReleased; }));
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
}

TEST_F(PredecessorTest, TheLoopEnds_whileTheOldProcessTakesItsTime) {
  Predecessor::announce(&loop(), std::move(writer_), [] { ADD_FAILURE() << "released"; });
}

}  // namespace
}  // namespace gyre
