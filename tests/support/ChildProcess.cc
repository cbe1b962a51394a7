#include "support/ChildProcess.h"

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>

#include "support/LoopFixture.h"

namespace gyre {
namespace {

constexpr const char* kProgramVariable = "GYRE_TEST_CHILD";
constexpr int kChannelFd = 3;

std::map<std::string, ChildMain>& programs() {
  static std::map<std::string, ChildMain> all;
  return all;
}

// The first thing that runs in main once all statics are there.
class ChildEnvironment : public testing::Environment {
 public:
  void SetUp() override {
    const char* name = std::getenv(kProgramVariable);
    if (name == nullptr) return;
    const auto found = programs().find(name);
    if (found == programs().end()) std::exit(127);
    LineChannel parent{UniqueFd(kChannelFd)};
    std::exit(found->second(parent));
  }
};

std::vector<char*> pointersTo(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& one : strings) pointers.push_back(const_cast<char*>(one.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environmentWith(const std::vector<std::string>& added) {
  std::vector<std::string> all = added;
  for (char** variable = environ; *variable != nullptr; ++variable) all.emplace_back(*variable);
  return all;
}

}  // namespace

// --- LineChannel

void LineChannel::say(std::string line) {
  line += '\n';
  [[maybe_unused]] const ssize_t sent = ::send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL);
}

std::optional<std::string> LineChannel::hear() {
  while (true) {
    const std::size_t end = heard_.find('\n');
    if (end != std::string::npos) {
      std::string line = heard_.substr(0, end);
      heard_.erase(0, end + 1);
      return line;
    }
    std::array<char, 512> piece;
    const ssize_t got = ::recv(fd_.get(), piece.data(), piece.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    heard_.append(piece.data(), static_cast<std::size_t>(got));
  }
}

// --- Process

Process::Process(const Options& options) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (options.channel >= 0) {
    ::posix_spawn_file_actions_adddup2(&actions, options.channel, kChannelFd);
  }
  if (options.errors >= 0) {
    ::posix_spawn_file_actions_adddup2(&actions, options.errors, STDERR_FILENO);
  }
  const std::vector<std::string> environment = environmentWith(options.environment);
  const int error =
      ::posix_spawnp(&pid_, options.arguments.front().c_str(), &actions, nullptr,
                     pointersTo(options.arguments).data(), pointersTo(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return;
  pid_ = -1;
  ADD_FAILURE() << "cannot start " << options.arguments.front() << ": " << std::strerror(error);
}

Process::~Process() {
  if (pid_ < 0) return;
  signal(SIGKILL);
  join();
}

void Process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

int Process::join() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void Process::stop() {
  signal(SIGSTOP);
  int status = 0;
  while (::waitpid(pid_, &status, WUNTRACED) < 0 && errno == EINTR) {
  }
  EXPECT_TRUE(WIFSTOPPED(status)) << "the process did not stop";
}

void Process::resume() const { signal(SIGCONT); }

// --- ChildProgram and ChildProcess

ChildProgram::ChildProgram(const char* name, ChildMain main) {
  // The environment is registered once, by whoever comes first; GoogleTest owns it.
  if (programs().empty()) testing::AddGlobalTestEnvironment(new ChildEnvironment);
  programs()[name] = main;
}

ChildProcess::ChildProcess(const std::string& program, std::vector<std::string> environment) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    ADD_FAILURE() << "socketpair: " << std::strerror(errno);
  }
  channel_.emplace(UniqueFd(ends[0]));
  const timeval patience{kPatience.count(), 0};
  ::setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const UniqueFd childEnd(ends[1]);
  environment.push_back(std::string(kProgramVariable) + "=" + program);
  Process::Options options;
  // The child's own tests do not run: only its failures are news.
  options.arguments = {std::filesystem::read_symlink("/proc/self/exe"), "--gtest_brief=1"};
  options.environment = std::move(environment);
  options.channel = childEnd.get();
  process_.emplace(options);
}

ChildProcess::~ChildProcess() {
  channel_->close();
  if (process_->pid() > 0) {
    EXPECT_EQ(process_->join(), 0) << "the child failed";
  }
}

std::string ChildProcess::ask(const std::string& line) {
  channel_->say(line);
  std::optional<std::string> answer = channel_->hear();
  if (!answer) ADD_FAILURE() << "the child did not answer: " << line;
  return answer.value_or("");
}

}  // namespace gyre
