// What a message costs once a server has warmed up: no heap memory, and no system call but the one
// that waits. Absent under sanitizers, and in debug builds, whose quarantine of released memory
// needs both.
#include "support/Sanitizers.h"

#if !defined(GYRE_TEST_SANITIZED) && !defined(GYRE_QUARANTINE)

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <semaphore>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gyre/codec/FixedLengthCodec.h"
#include "gyre/codec/FrameReader.h"
#include "net/AllocationCounter.h"
#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"
#include "support/ServerProcess.h"

namespace gyre {
namespace {

class SteadyPathTest : public ServerFixture {
 protected:
  // Each peer says the text and hears it. Needs no heap memory the second time.
  void exchange(std::span<Peer> peers, std::string_view text) {
    dialogues_.clear();
    for (Peer& peer : peers) dialogues_.emplace_back(peer, text);
    bool isOpen = true;
    while (isOpen) {
      runOnce();
      isOpen = false;
      for (EchoDialogue& dialogue : dialogues_) isOpen = dialogue.step() || isOpen;
    }
    for (const EchoDialogue& dialogue : dialogues_) ASSERT_TRUE(dialogue.isComplete());
  }

  // Pieces of heap memory that so many rounds need, after as many to warm up.
  std::size_t allocationsOf(int rounds, const std::function<void()>& round) {
    for (int i = 0; i < rounds; ++i) round();
    const std::size_t before = allocationsOfThisThread();
    for (int i = 0; i < rounds; ++i) round();
    return allocationsOfThisThread() - before;
  }

 private:
  std::vector<EchoDialogue> dialogues_;
};

TEST_F(SteadyPathTest, Message_upTo256KiB_needsNoHeapMemory) {
  start();
  std::vector<Peer> peers = connectMany(20);
  for (const std::size_t size : std::vector<std::size_t>{64, 4096, 8192, 16 * 1024}) {
    const std::string text = patternBytes(size);
    EXPECT_EQ(allocationsOf(10, [&] { exchange(peers, text); }), 0U)
        << "for 200 messages of " << size;
  }
  const std::string text = patternBytes(256 * 1024);
  EXPECT_EQ(allocationsOf(5, [&] { exchange(std::span(peers).first(4), text); }), 0U)
      << "for 20 messages of 256 KiB";
}

TEST_F(SteadyPathTest, FramesSixteenAtATime_needNoHeapMemory) {
  start({.onMessage = framed(FixedLengthCodec(64),
                             [](const TcpConnectionPtr& connection, std::string_view frame) {
                               connection->send(frame);
                             })});
  std::vector<Peer> peers = connectMany(20);
  const std::string text = patternBytes(16 * 64);
  EXPECT_EQ(allocationsOf(10, [&] { exchange(peers, text); }), 0U) << "for 3200 frames";
}

TEST_F(SteadyPathTest, Message_thatPutsOffATimeout_needsNoHeapMemory) {
  loop().setTimeoutTick(std::chrono::milliseconds(1));
  start({.options = {.timeouts = {.idle = std::chrono::seconds(60)}}});
  std::vector<Peer> peers = connectMany(20);
  const std::string text = patternBytes(64);
  EXPECT_EQ(allocationsOf(10, [&] { exchange(peers, text); }), 0U) << "for 200 messages";
}

// Those that are posted pile up in the memory of those posted before.
TEST_F(SteadyPathTest, Functor_fromAnotherThread_needsNoHeapMemory) {
  constexpr int kFunctors = 100;
  int ran = 0;
  std::size_t ofThePoster = 0;
  std::binary_semaphore wanted(0);
  std::binary_semaphore posted(0);
  std::jthread poster([&](const std::stop_token& stop) {
    for (wanted.acquire(); !stop.stop_requested(); wanted.acquire()) {
      const std::size_t before = allocationsOfThisThread();
      for (int i = 0; i < kFunctors; ++i) loop().queueInLoop([&ran] { ++ran; });
      ofThePoster = allocationsOfThisThread() - before;
      posted.release();
    }
  });
  loop();
  const std::size_t ofTheLoop = allocationsOf(10, [&] {
    ran = 0;
    wanted.release();
    posted.acquire();
    while (ran < kFunctors) runOnce();
  });
  poster.request_stop();
  wanted.release();
  EXPECT_EQ(ofTheLoop, 0U) << "to run 1000 functors";
  EXPECT_EQ(ofThePoster, 0U) << "to post the last 100";
}

TEST_F(SteadyPathTest, Timer_needsOnePieceOfHeapMemoryAtMost) {
  constexpr std::size_t kTimers = 100;
  std::size_t ran = 0;
  std::array<TimerId, kTimers> cancelled;
  const std::size_t allocations = allocationsOf(10, [&] {
    ran = 0;
    for (TimerId& timer : cancelled) {
      timer = loop().runAfter(std::chrono::hours(1), [] {});
      loop().runAfter(Duration::zero(), [&ran] { ++ran; });
    }
    for (const TimerId timer : cancelled) loop().cancel(timer);
    while (ran < kTimers) runOnce();
  });
  EXPECT_LE(allocations, 10 * 2 * kTimers);
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
  EXPECT_LE(after.directSends - before.directSends, after.iterations - before.iterations)
      << "only where a send is alone in its iteration";

  std::set<std::string> own = {"io_uring_enter", "sendto"};
  if (testProactorOptions().engine == Engine::Epoll) {
    own = {"epoll_wait", "epoll_pwait2", "recvfrom", "sendto", "sendmsg"};
  }
  std::size_t others = 0;
  std::ostringstream table;
  for (const auto& [name, count] : strace.finish()) {
    if (!own.contains(name)) others += count;
    EXPECT_LE(count, 20200U) << name << ": not twice per message";
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

  const ServerProcess::Counters before = remote.counters();
  remote.process().stop();
  for (Peer& peer : peers) ASSERT_EQ(peer.sendSome(text), text.size());
  remote.process().resume();
  for (Peer& peer : peers) ASSERT_EQ(peer.receive(text.size()), text);
  const ServerProcess::Counters after = remote.counters();
  const std::uint64_t calls = after.enters - before.enters + after.directSends - before.directSends;
  std::printf("enters and sends for 800 requests: %llu\n", static_cast<unsigned long long>(calls));
  EXPECT_LE(calls, 60U);
}

}  // namespace
}  // namespace gyre

#endif
