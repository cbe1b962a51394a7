// A hot restart with each of its allocations refused in turn, seen from the old process: it goes on
// serving, and the next signal is obeyed. Where the new process serves, one of both ends.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "gyre/base/UniqueFd.h"
#include "gyre/server/TcpServer.h"
#include "gyre/service/ServiceRunner.h"
#include "net/EveryAllocation.h"
#include "service/NewProcess.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr const char* kTraceVariable = "GYRE_TEST_RESTART_TRACE";

constexpr const char* kServesVariable = "GYRE_TEST_RESTART_SERVES";

// Reports that it serves, and waits until it is released. Then it lives until it is killed.
void serveAsSuccessor(const char* pipeVariable, const std::string& trace) {
  ::alarm(static_cast<unsigned>(kPatience.count()));
  const int pipe = std::atoi(pipeVariable);
  std::ofstream(trace + ".pid") << ::getpid() << std::flush;
  const SuccessionReport report{SuccessionReport::Kind::Serves, ::getpid()};
  if (::write(pipe, &report, sizeof report) != sizeof report) ::_exit(1);
  pollfd released{pipe, 0, 0};
  while (::poll(&released, 1, -1) != 1) continue;
  ::close(::open(trace.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  for (;;) ::pause();
}

// The new process of these tests is this program: it leaves a file, and ends before it serves, or
// does not.
[[maybe_unused]] const bool isSuccessor = [] {
  const char* trace = std::getenv(kTraceVariable);
  const char* pipe = std::getenv(kSuccessionVariable);
  if (pipe == nullptr || trace == nullptr) return false;
  if (std::getenv(kServesVariable) != nullptr) serveAsSuccessor(pipe, trace);
  ::close(::open(trace, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  ::_exit(0);
}();

class RestartMemoryTest : public EveryAllocationTest {
 protected:
  void SetUp() override {
    EveryAllocationTest::SetUp();
    ::pthread_sigmask(SIG_SETMASK, nullptr, &maskBefore_);
    ::setenv(kTraceVariable, trace_.c_str(), 1);
  }
  void TearDown() override {
    ::pthread_sigmask(SIG_SETMASK, &maskBefore_, nullptr);
    ::unsetenv(kTraceVariable);
    ::unsetenv(kServesVariable);
    ::unlink(trace_.c_str());
    ::unlink((trace_ + ".pid").c_str());
    EveryAllocationTest::TearDown();
  }
  const std::string& trace() const noexcept { return trace_; }

 private:
  const std::string trace_ =
      (std::filesystem::temp_directory_path() / ("gyre-restart-" + std::to_string(::getpid())))
          .string();
  sigset_t maskBefore_{};
};

// A service on this thread, watched by a timer of its loop.
class RestartRun {
 public:
  RestartRun(RefusedAllocations& refused, std::string trace)
      : refused_(refused), trace_(std::move(trace)) {
    server_.setThreadNum(0);
    server_.setMessageCallback(
        [](const TcpConnectionPtr& connection, Buffer& in) { connection->send(in); });
    runner_.add(&server_);
    server_.start();
    loop_.runEvery(milliseconds(1), [this] {
      const AllocationsExempt exempt;
      watch();
    });
  }

  void run() {
    asSubject([&] { runner_.run(); });
  }

 private:
  enum class Step { Idle, Refused, Restarting, Asking, Ending };

  // A new process is waited for exactly while its pipe is open.
  bool isRestarting() { return openDescriptors() > descriptors_; }
  void watch() {
    switch (step_) {
      case Step::Idle:
        descriptors_ = openDescriptors();
        refused_.begin();
        ::raise(SIGUSR2);
        limit_ = Clock::now() + milliseconds(5);
        step_ = Step::Refused;
        break;
      case Step::Refused:
        if (Clock::now() < limit_ || isRestarting()) break;
        refused_.end();
        ::unlink(trace_.c_str());
        ::raise(SIGUSR2);
        limit_ = Clock::now() + kPatience;
        step_ = Step::Restarting;
        break;
      case Step::Restarting:
        EXPECT_LT(Clock::now(), limit_) << "the next signal starts no new process";
        if (::access(trace_.c_str(), F_OK) != 0 && Clock::now() < limit_) break;
        ask();
        step_ = Step::Asking;
        break;
      case Step::Asking:
        if (!isAnswered()) break;
        step_ = Step::Ending;
        client_.reset();
        ::raise(SIGTERM);
        break;
      case Step::Ending: break;
    }
  }
  void ask() {
    const InetAddress address = server_.listenAddress();
    client_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client_.get(), address.sockaddrPtr(), address.length()), 0);
    EXPECT_EQ(::send(client_.get(), "x", 1, MSG_NOSIGNAL), 1);
    limit_ = Clock::now() + kPatience;
  }
  bool isAnswered() {
    char byte = 0;
    const bool isHere = ::recv(client_.get(), &byte, 1, MSG_DONTWAIT) == 1;
    EXPECT_LT(Clock::now(), limit_) << "the old process serves no more";
    return isHere || Clock::now() >= limit_;
  }

  RefusedAllocations& refused_;
  const std::string trace_;
  EventLoop loop_{testProactorOptions()};
  ServiceRunner runner_{&loop_};
  TcpServer server_{&loop_, InetAddress::loopback(0), "restart"};
  UniqueFd client_;
  Step step_ = Step::Idle;
  std::size_t descriptors_ = 0;
  Clock::time_point limit_{};
};

// A service whose new process serves.
class GiveWayRun {
 public:
  GiveWayRun(RefusedAllocations& refused, std::string trace)
      : refused_(refused), trace_(std::move(trace)) {
    ::unlink(trace_.c_str());
    ::unlink((trace_ + ".pid").c_str());
    server_.setThreadNum(0);
    runner_.add(&server_);
    server_.start();
    loop_.runEvery(milliseconds(1), [this] {
      const AllocationsExempt exempt;
      watch();
    });
  }

  void run() {
    asSubject([&] { runner_.run(); });
    refused_.end();
    const pid_t successor = this->successor();
    if (!isEnded_) {
      EXPECT_TRUE(comesTrue([&] { return ::access(trace_.c_str(), F_OK) == 0; }))
          << "this process has drained, and the new one was not released";
      EXPECT_TRUE(lives(successor)) << "both have ended";
    }
    if (successor > 0) ::kill(successor, SIGKILL);
  }
  bool hasGivenWay() const noexcept { return !isEnded_; }

 private:
  pid_t successor() const {
    pid_t pid = 0;
    std::ifstream(trace_ + ".pid") >> pid;
    return pid;
  }
  static bool lives(pid_t pid) {
    std::string ignored;
    std::string state;
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::getline(file, ignored, ')');
    return (file >> state) && state != "Z" && state != "X";
  }
  static bool comesTrue(const std::function<bool()>& condition) {
    const auto limit = Clock::now() + kPatience;
    while (!condition()) {
      if (Clock::now() >= limit) return false;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }

  void watch() {
    if (descriptors_ == 0) {
      descriptors_ = openDescriptors();
      refused_.begin();
      ::raise(SIGUSR2);
      limit_ = Clock::now() + milliseconds(5);
    } else if (!isEnded_ && Clock::now() >= limit_ && openDescriptors() >= descriptors_) {
      // No fewer: it has not begun to drain. As many: no new process is waited for.
      if (openDescriptors() > descriptors_) return;
      refused_.end();
      if (successor() > 0 && lives(successor())) return expectDraining();
      isEnded_ = true;
      ::raise(SIGTERM);
    }
  }
  // The listener is about to be closed, within a few iterations.
  void expectDraining() {
    if (++rounds_ < 1000) return;
    ADD_FAILURE() << "both processes serve";
    isEnded_ = true;
    ::raise(SIGTERM);
  }

  RefusedAllocations& refused_;
  const std::string trace_;
  EventLoop loop_{testProactorOptions()};
  ServiceRunner runner_{&loop_};
  TcpServer server_{&loop_, InetAddress::loopback(0), "restart"};
  bool isEnded_ = false;  // by this test: this process goes on
  int rounds_ = 0;
  std::size_t descriptors_ = 0;
  Clock::time_point limit_{};
};

TEST_F(RestartMemoryTest, Restart_newProcessServes_oneOfBothEnds) {
  ::setenv(kServesVariable, "1", 1);
  bool hasGivenWay = false;
  const std::size_t runs = refuseEach({}, [&](RefusedAllocations& refused) {
    GiveWayRun run(refused, trace());
    run.run();
    hasGivenWay = run.hasGivenWay();
  });
  EXPECT_GT(runs, 5U) << "it needs memory";
  EXPECT_TRUE(hasGivenWay) << "with all the memory it needs";
}

TEST_F(RestartMemoryTest, Restart_failsOrNot_andTheOldProcessServesOn) {
  const std::size_t runs = refuseEach({.stride = 3}, [this](RefusedAllocations& refused) {
    RestartRun run(refused, trace());
    run.run();
  });
  EXPECT_GT(runs, 5U) << "it needs memory";
}

}  // namespace
}  // namespace gyre
