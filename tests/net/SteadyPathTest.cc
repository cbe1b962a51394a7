// What a message costs once a server has warmed up: no heap memory, and no system call but the one
// that waits. Absent under sanitizers.
#include "support/Sanitizers.h"

#ifndef GYRE_TEST_SANITIZED

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "net/AllocationCounter.h"
#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"
#include "support/ServerProcess.h"

namespace gyre {
namespace {

class SteadyPathTest : public ServerFixture {
 protected:
  // Each peer says the text and hears it. Needs no heap memory.
  void exchange(std::span<Peer> peers, std::string_view text) {
    static std::array<char, 16 * 1024> got;
    for (Peer& peer : peers) ASSERT_EQ(peer.sendSome(text), text.size());
    for (Peer& peer : peers) {
      std::size_t received = 0;
      while (received < text.size()) {
        const std::size_t part = peer.receiveSome(std::span(got).subspan(received));
        if (part == 0) runOnce();
        received += part;
      }
      ASSERT_EQ(text.compare(0, text.size(), got.data(), received), 0);
    }
  }
};

TEST_F(SteadyPathTest, Message_upTo8KiB_needsNoHeapMemory) {
  start();
  std::vector<Peer> peers = connectMany(20);
  for (const std::size_t size : std::vector<std::size_t>{64, 4096, 8192}) {
    const std::string text = patternBytes(size);
    for (int i = 0; i < 50; ++i) exchange(peers, text);
    const std::size_t before = allocationsOfThisThread();
    for (int i = 0; i < 50; ++i) exchange(peers, text);
    EXPECT_EQ(allocationsOfThisThread() - before, 0U) << "for 1000 messages of " << size;
  }
}

TEST_F(SteadyPathTest, AllocationCounter_countsWhatALoopAllocates) {
  const std::size_t before = allocationsOfThisThread();
  const auto string = std::make_unique<std::string>(100, 'x');
  ASSERT_NE(string, nullptr);
  EXPECT_EQ(allocationsOfThisThread() - before, 2U);
}

// --- System calls, seen from outside by strace

// Counts the system calls of a process while it lives.
class Strace {
 public:
  explicit Strace(pid_t target)
      : table_(std::filesystem::temp_directory_path() / ("gyre-strace-" + std::to_string(target))) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    process_.emplace(Process::Options{
        {"strace", "-f", "-c", "-o", table_, "-p", std::to_string(target)}, {}, -1, writing.get()});
    writing.reset();
    // It says "attached" once it counts.
    std::array<char, 256> said;
    isAttached_ = ::read(reading.get(), said.data(), said.size()) > 0;
  }
  ~Strace() { std::filesystem::remove(table_); }

  bool isAttached() const noexcept { return isAttached_; }

  // Detaches; how often each call was made.
  std::map<std::string, std::size_t> finish() {
    process_->signal(SIGINT);
    process_->join();
    std::map<std::string, std::size_t> calls;
    std::ifstream table(table_);
    std::string line;
    while (std::getline(table, line)) {
      // % time, seconds, microseconds per call, calls, perhaps errors, name
      std::istringstream words(line);
      double number = 0;
      std::size_t count = 0;
      std::string name;
      if (!(words >> number >> number >> number >> count)) continue;
      while (words >> name) continue;
      if (name != "total") calls[name] = count;
    }
    return calls;
  }

 private:
  const std::string table_;
  std::optional<Process> process_;
  bool isAttached_ = false;
};

TEST_F(SteadyPathTest, TwentyThousandMessages_needNoSystemCallButTheEngines) {
  if (std::system("command -v strace >/dev/null") != 0) GTEST_SKIP() << "strace is not installed";
  ServerProcess remote({.usualSizes = true});
  std::vector<Peer> peers;
  for (int i = 0; i < 200; ++i) peers.emplace_back(remote.address());
  const Peer::Pump nothing = [] {};
  const std::string text = patternBytes(64);
  ASSERT_EQ(countEchoed(peers, text, nothing), 200U);

  Strace strace(remote.process().pid());
  ASSERT_TRUE(strace.isAttached());
  const ServerProcess::Counters before = remote.counters();
  for (int i = 0; i < 100; ++i) ASSERT_EQ(countEchoed(peers, text, nothing), 200U);
  const ServerProcess::Counters after = remote.counters();
  EXPECT_LE(after.enters - before.enters, after.iterations - before.iterations + 2)
      << "one per iteration";

  std::set<std::string> own = {"io_uring_enter"};
  if (testProactorOptions().engine == Engine::Epoll) {
    own = {"epoll_wait", "epoll_pwait2", "recvfrom", "sendto", "sendmsg"};
  }
  std::size_t others = 0;
  std::ostringstream table;
  for (const auto& [name, count] : strace.finish()) {
    if (!own.contains(name)) others += count;
    table << ' ' << name << ' ' << count;
  }
  std::printf("calls for 20000 messages:%s\n", table.str().c_str());
  EXPECT_LE(others, 200U) << table.str();
}

// 800 requests wait when it is continued: it takes them in a few batches, not one by one.
TEST_F(SteadyPathTest, EightHundredRequestsAtOnce_needSixtyEntersAtMost) {
  ServerProcess remote({.usualSizes = true});
  std::vector<Peer> peers;
  for (int i = 0; i < 800; ++i) peers.emplace_back(remote.address());
  const std::string text = patternBytes(64);
  ASSERT_EQ(countEchoed(peers, text, [] {}), 800U);

  const std::uint64_t before = remote.counters().enters;
  remote.process().stop();
  for (Peer& peer : peers) ASSERT_EQ(peer.sendSome(text), text.size());
  remote.process().resume();
  for (Peer& peer : peers) ASSERT_EQ(peer.receive(text.size()), text);
  const std::uint64_t enters = remote.counters().enters - before;
  std::printf("enters for 800 requests: %llu\n", static_cast<unsigned long long>(enters));
  EXPECT_LE(enters, 60U);
}

}  // namespace
}  // namespace gyre

#endif
