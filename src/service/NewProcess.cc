#include "service/NewProcess.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "service/LaunchRecord.h"

namespace gyre {
namespace {

constexpr int kFirstInherited = 3;  // SD_LISTEN_FDS_START

// One text per listener, the fallback in place of one that could not be told from two.
std::string joined(const std::vector<HandedListener>& listeners, std::string HandedListener::*field,
                   char separator, const char* fallback) {
  std::string text;
  for (const HandedListener& listener : listeners) {
    if (&listener != &listeners.front()) text += separator;
    const std::string& one = listener.*field;
    const bool isGood = !one.empty() && one.find(separator) == std::string::npos;
    text += isGood ? one : fallback;
  }
  return text;
}

bool isOurs(std::string_view variable) {
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID",
                           kSuccessionVariable, kListenersVariable}) {
    const std::size_t end = std::string_view(name).size();
    if (variable.starts_with(name) && variable.substr(end, 1) == "=") return true;
  }
  return false;
}

// systemd's watchdog is this process's business, and so its successor's.
bool isWatched() {
  const char* pid = std::getenv("WATCHDOG_PID");
  return pid != nullptr && std::to_string(::getpid()) == pid;
}

}  // namespace

NewProcess::NewProcess(const std::vector<HandedListener>& listeners, int pipe)
    : program_(launchRecord().program),
      directory_(launchRecord().directory),
      texts_(launchRecord().arguments) {
  if (program_.empty()) {
    throw std::system_error(ENOENT, std::generic_category(),
                            "cannot start the new process: it is unknown which program this is "
                            "(mount /proc)");
  }
  for (const HandedListener& listener : listeners) descriptors_.push_back(listener.descriptor);
  descriptors_.push_back(pipe);
  const std::size_t argumentCount = texts_.size();
  addEnvironment(listeners, pipe);
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    (i < argumentCount ? arguments_ : environment_).push_back(texts_[i].data());
  }
  for (PidVariable& variable : pids_) environment_.push_back(variable.text.data());
  arguments_.push_back(nullptr);
  environment_.push_back(nullptr);
}

void NewProcess::addEnvironment(const std::vector<HandedListener>& listeners, int pipe) {
  const bool passesWatchdog = isWatched();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const bool isPid = passesWatchdog && std::string_view(*variable).starts_with("WATCHDOG_PID=");
    if (!isOurs(*variable) && !isPid) texts_.emplace_back(*variable);
  }
  struct stat status {};
  ::fstat(pipe, &status);
  const int pipePlace = kFirstInherited + static_cast<int>(listeners.size());
  texts_.push_back("LISTEN_FDS=" + std::to_string(listeners.size()));
  texts_.push_back("LISTEN_FDNAMES=" + joined(listeners, &HandedListener::name, ':', "unknown"));
  texts_.push_back(std::string(kListenersVariable) + "=" +
                   joined(listeners, &HandedListener::key, '\n', ""));
  texts_.push_back(std::string(kSuccessionVariable) + "=" + std::to_string(pipePlace) + ":" +
                   std::to_string(status.st_ino));
  addPidVariable("LISTEN_PID=");
  if (passesWatchdog) addPidVariable("WATCHDOG_PID=");
}

void NewProcess::addPidVariable(const char* name) {
  const std::string_view text(name);
  pids_.push_back({std::string(text) + "0000000000", text.size()});
}

// A grandchild, so that nobody here has to wait for it. _Fork, unlike fork, may be called in the
// child of a process with threads.
bool NewProcess::start() {
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child > 0) {
    // ECHILD where SIGCHLD is ignored: it has ended all the same.
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
    return true;
  }
  const pid_t grandchild = ::_Fork();
  if (grandchild <= 0) {
    if (grandchild == 0) exec();
    const SuccessionReport failed{SuccessionReport::Kind::Failed, errno};
    [[maybe_unused]] const ssize_t written = ::write(descriptors_.back(), &failed, sizeof failed);
  }
  ::_exit(127);
}

// Returns only when it failed, with errno; the pipe is descriptors_.back() at any time.
void NewProcess::exec() noexcept {
  // A directory that is gone keeps nobody from starting: the program's path is absolute.
  if (!directory_.empty()) [[maybe_unused]]
    const int ignored = ::chdir(directory_.c_str());
  if (!placeDescriptors()) return;
  writePids();
  // What the loops' threads have blocked would stay blocked.
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(program_.c_str(), arguments_.data(), environment_.data());
}

// First out of the way of each other, then to their places; dup2 clears close-on-exec.
bool NewProcess::placeDescriptors() noexcept {
  const int first = kFirstInherited;
  const int end = first + static_cast<int>(descriptors_.size());
  for (int& descriptor : descriptors_) {
    const int moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, end);
    if (moved < 0) return false;
    descriptor = moved;
  }
  for (int place = first; place < end; ++place) {
    if (::dup2(descriptors_[static_cast<std::size_t>(place - first)], place) < 0) return false;
  }
  return true;
}

// Without leading zeros, which would make it an octal number. REQUIRES: nothing that may allocate.
void NewProcess::writePids() noexcept {
  for (PidVariable& variable : pids_) {
    char* begin = variable.text.data() + variable.digitsAt;
    char* const last = variable.text.data() + variable.text.size();
    *std::to_chars(begin, last, ::getpid()).ptr = '\0';
  }
}

}  // namespace gyre
