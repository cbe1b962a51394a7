// ChildProcess: programs that tests run beside themselves.
//
// A test that needs a process of its own (to measure, to stop, to limit) starts this test program
// once more: with GYRE_TEST_CHILD in its environment it runs the child program of that name instead
// of tests. Both sides talk in lines. Nothing is ever forked without exec.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gyre/base/UniqueFd.h"

namespace gyre {

// One end of the talk. One thread may hear while another one says.
class LineChannel {
 public:
  explicit LineChannel(UniqueFd fd) : fd_(std::move(fd)) {}

  void say(std::string line);
  // The next line; none when the other side has gone.
  std::optional<std::string> hear();
  void close() { fd_.reset(); }

 private:
  UniqueFd fd_;
  std::string heard_;
};

// A process, and its end: at the latest the destructor kills it.
class Process {
 public:
  struct Options {
    std::vector<std::string> arguments;    // the program is the first, found as the shell does
    std::vector<std::string> environment;  // "NAME=value", added
    int channel = -1;                      // becomes descriptor 3
    int errors = -1;                       // becomes stderr
  };

  // Fails the test when it cannot start.
  explicit Process(const Options& options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const noexcept { return pid_; }
  void signal(int number) const;
  // Waits for its end: the exit status, or minus the signal that killed it.
  int join();
  // Stops it, and returns once it stands still.
  void stop();
  void resume() const;

 private:
  pid_t pid_ = -1;
};

// A child program; what it returns is its exit status.
using ChildMain = int (*)(LineChannel& parent);

// At namespace scope: names a child program.
class ChildProgram {
 public:
  ChildProgram(const char* name, ChildMain main);
};

// Runs a child program. Its end closes the channel, which asks the child to end, and expects exit
// status 0.
class ChildProcess {
 public:
  explicit ChildProcess(const std::string& program, std::vector<std::string> environment = {});
  ~ChildProcess();

  // Says a line and returns the answer; fails the test when there is none.
  std::string ask(const std::string& line);
  Process& process() noexcept { return *process_; }

 private:
  std::optional<LineChannel> channel_;
  std::optional<Process> process_;
};

}  // namespace gyre
