#include "net/Succession.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/base/UniqueFd.h"

namespace gyre {
namespace {

constexpr const char* kPipeVariable = "GYRE_SUCCESSION_FD";
constexpr int kFirstInherited = 3;  // SD_LISTEN_FDS_START

[[noreturn]] void throwErrno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// What exec needs, made before the fork: the child of a process with threads may not allocate.
class NewProcess {
 public:
  NewProcess(const std::vector<int>& listeners, int pipe);

  // False with errno when there is no process to be had.
  bool start();

 private:
  void exec() noexcept;
  void addEnvironment();
  bool placeDescriptors() noexcept;
  void writePid() noexcept;

  std::string program_;
  std::vector<std::string> texts_;  // arguments, then environment
  std::size_t argumentCount_ = 0;
  std::vector<char*> arguments_;
  std::vector<char*> environment_;
  std::vector<int> descriptors_;  // in the order of their places, the pipe last
  std::string pid_ = "LISTEN_PID=0000000000";
};

NewProcess::NewProcess(const std::vector<int>& listeners, int pipe) : descriptors_(listeners) {
  descriptors_.push_back(pipe);
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (length <= 0) throwErrno("cannot tell which program this is (/proc/self/exe)");
  program_.assign(path.data(), static_cast<std::size_t>(length));
  // The file was replaced since: the new one is what is wanted.
  constexpr std::string_view kDeleted = " (deleted)";
  if (program_.ends_with(kDeleted)) program_.resize(program_.size() - kDeleted.size());
  std::ifstream commandLine("/proc/self/cmdline", std::ios::binary);
  for (std::string text; std::getline(commandLine, text, '\0');) texts_.push_back(text);
  argumentCount_ = texts_.size();
  addEnvironment();
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    (i < argumentCount_ ? arguments_ : environment_).push_back(texts_[i].data());
  }
  arguments_.push_back(nullptr);
  environment_.push_back(pid_.data());
  environment_.push_back(nullptr);
}

void NewProcess::addEnvironment() {
  const auto isOurs = [](std::string_view text) {
    return text.starts_with("LISTEN_") || text.starts_with(kPipeVariable);
  };
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!isOurs(*variable)) texts_.emplace_back(*variable);
  }
  const std::size_t count = descriptors_.size() - 1;
  texts_.push_back("LISTEN_FDS=" + std::to_string(count));
  texts_.push_back(std::string(kPipeVariable) + "=" +
                   std::to_string(kFirstInherited + static_cast<int>(count)));
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
  if (::_Fork() == 0) exec();
  ::_exit(127);
}

// Returns only when it failed.
void NewProcess::exec() noexcept {
  if (!placeDescriptors()) return;
  writePid();
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
    descriptor = ::fcntl(descriptor, F_DUPFD_CLOEXEC, end);
    if (descriptor < 0) return false;
  }
  for (int place = first; place < end; ++place) {
    if (::dup2(descriptors_[static_cast<std::size_t>(place - first)], place) < 0) return false;
  }
  return true;
}

// Without leading zeros, which would make it an octal number. REQUIRES: nothing that may allocate.
void NewProcess::writePid() noexcept {
  char* begin = pid_.data() + pid_.find('=') + 1;
  const auto [end, error] = std::to_chars(begin, pid_.data() + pid_.size(), ::getpid());
  *end = '\0';
}

}  // namespace

std::shared_ptr<Succession> Succession::begin(EventLoop* loop, const std::vector<int>& listeners,
                                              Callback onResult) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throwErrno("cannot start the new process: no pipe");
  UniqueFd readEnd(ends[0]);
  const UniqueFd writeEnd(ends[1]);
  NewProcess process(listeners, writeEnd.get());
  if (!process.start()) throwErrno("cannot start the new process (RLIMIT_NPROC, memory)");
  const SocketHandle pipe = loop->proactor().adopt(readEnd.release());
  auto succession = std::make_shared<Succession>(loop, pipe, std::move(onResult));
  loop->addResident(succession);
  loop->proactor().read(succession->read_, pipe, {&succession->answer_, 1});
  return succession;
}

Succession::Succession(EventLoop* loop, SocketHandle pipe, Callback onResult)
    : loop_(loop), pipe_(pipe), onResult_(std::move(onResult)), read_(&Succession::handleRead) {}

void Succession::beginClose() noexcept { loop_->proactor().cancel(read_); }

void Succession::handleRead(IoContext& context, const IoResult& result) noexcept {
  Succession& self = ownerOf<&Succession::read_>(context);
  self.loop_->proactor().close(self.pipe_);
  self.loop_->removeResident(self);
  if (result.error != ECANCELED) self.onResult_(result.error == 0 && result.bytes == 1);
}

void Succession::announce() {
  const char* text = std::getenv(kPipeVariable);
  if (text == nullptr) return;
  const UniqueFd pipe(std::atoi(text));
  ::unsetenv(kPipeVariable);
  // The old process may have died meanwhile: all the more is this one wanted.
  struct sigaction ignored {};
  struct sigaction before {};
  ignored.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignored, &before);
  const char ready = 1;
  [[maybe_unused]] const ssize_t written = ::write(pipe.get(), &ready, 1);
  ::sigaction(SIGPIPE, &before, nullptr);
}

}  // namespace gyre
