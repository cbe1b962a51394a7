// NewProcess: this program, started once more beside this process, with sockets that it inherits.
//
// The new process finds the sockets as it would find those of systemd (LISTEN_FDS, LISTEN_FDNAMES,
// LISTEN_PID), for which server each was in GYRE_LISTENERS, and the pipe through which it reports
// in GYRE_SUCCESSION_FD. It starts in the directory, and by the path, of this one.
//
// Thread  One.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "server/InheritedListeners.h"

namespace gyre {

// What comes through the pipe: one report, then its end.
struct SuccessionReport {
  enum class Kind : std::int32_t { Serves = 1, Failed = 2 };

  Kind kind;
  std::int32_t value;  // Serves: the pid; Failed: why it could not be started, as errno
};

// The names in the environment.
inline constexpr const char* kSuccessionVariable = "GYRE_SUCCESSION_FD";  // DESCRIPTOR:INODE
inline constexpr const char* kListenersVariable = "GYRE_LISTENERS";       // a key per line

// What exec needs, made before the fork: the child of a process with threads may not allocate.
class NewProcess {
 public:
  // Throws std::system_error when it is unknown which program this is.
  // REQUIRES: `pipe` is the writing end of a pipe; all descriptors stay open until start().
  NewProcess(const std::vector<HandedListener>& listeners, int pipe);

  const std::string& program() const noexcept { return program_; }
  // False with errno when there is no process to be had. That its program cannot be started is
  // reported through the pipe.
  bool start();

 private:
  // "NAME=0000000000", in which the child writes its own pid.
  struct PidVariable {
    std::string text;
    std::size_t digitsAt;
  };

  void addEnvironment(const std::vector<HandedListener>& listeners, int pipe);
  void addPidVariable(const char* name);
  void exec() noexcept;
  bool placeDescriptors() noexcept;
  void writePids() noexcept;

  const std::string program_;
  const std::string directory_;
  std::vector<std::string> texts_;  // arguments, then environment
  std::vector<PidVariable> pids_;
  std::vector<char*> arguments_;
  std::vector<char*> environment_;
  std::vector<int> descriptors_;  // in the order of their places, the pipe last
};

}  // namespace gyre
