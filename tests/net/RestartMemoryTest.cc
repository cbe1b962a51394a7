// A hot restart with each of its allocations refused in turn, seen from the old process: it goes on
// serving, and the next signal is obeyed.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "gyre/base/UniqueFd.h"
#include "gyre/net/ServiceRunner.h"
#include "gyre/net/TcpServer.h"
#include "net/EveryAllocation.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr const char* kTraceVariable = "GYRE_TEST_RESTART_TRACE";

// The new process of these tests is this program: it leaves a file, and ends before it serves.
[[maybe_unused]] const bool isSuccessor = [] {
  const char* trace = std::getenv(kTraceVariable);
  if (std::getenv("GYRE_SUCCESSION_FD") == nullptr || trace == nullptr) return false;
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
    ::unlink(trace_.c_str());
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

TEST_F(RestartMemoryTest, Restart_failsOrNot_andTheOldProcessServesOn) {
  const std::size_t runs = refuseEach({.stride = 3}, [this](RefusedAllocations& refused) {
    RestartRun run(refused, trace());
    run.run();
  });
  EXPECT_GT(runs, 5U) << "it needs memory";
}

}  // namespace
}  // namespace gyre
