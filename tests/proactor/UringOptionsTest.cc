// UringOptionsTest: the engine does its work whatever is switched on or off, and says no to IOPOLL.
#include <gmock/gmock.h>
#include <sched.h>

#include <cctype>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "proactor/UringTest.h"
#include "proactor/uring/UringProactor.h"
#include "support/ConformanceKernelWorld.h"
#include "support/ConformanceLoop.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

// A listener, `clients` of which each sends a message and gets it back, by way of every stream and
// verb of a server.
void echoOnce(ConformanceLoop& loop, ConformanceKernelWorld& world, int clients) {
  const ConformanceSocket listener(loop, loop.proactor().listen(InetAddress::loopback(0), {}));
  const InetAddress address = loop.proactor().localAddress(listener.get());
  ConformanceOperation accept(loop);
  accept.accept(listener.get());
  for (int i = 0; i < clients; ++i) {
    const std::unique_ptr<ConformancePeer> peer = world.connectTo(address);
    const auto count = static_cast<std::size_t>(i) + 1;
    ASSERT_TRUE(loop.runUntil([&] { return accept.told().size() == count; }));
    const ConformanceSocket socket(loop, accept.told().back().socket);
    const std::string message = patternBytes(20'000, count);
    ConformanceOperation receive(loop);
    receive.receive(socket.get());
    ASSERT_TRUE(loop.sendAll(*peer, message));
    ASSERT_TRUE(loop.runUntil([&] { return receive.data().size() == message.size(); }));
    ConformanceOperation send(loop);
    send.send(socket.get(), receive.data());
    EXPECT_EQ(send.join().error, 0);
    EXPECT_EQ(loop.receiveAll(*peer, message.size()), message);
    peer->close();
    EXPECT_EQ(receive.join().error, 0);
  }
}

class UringOptionsTest : public UringTest {
 protected:
  void echoWith(const ProactorOptions& options, int clients = 3) {
    ConformanceKernelWorld world(makeUringProactor, options);
    ConformanceLoop loop(world.makeProactor());
    echoOnce(loop, world, clients);
  }
};

TEST_F(UringOptionsTest, EachFeatureOff_serves) {
  for (const char* name :
       {"no_sqarray", "no_iowait", "registered_ring", "multishot_accept", "accept_dontwait"}) {
    SCOPED_TRACE(name);
    ProactorOptions options;
    options.disabledFeatures = {name};
    echoWith(options);
  }
}

TEST_F(UringOptionsTest, AllFeaturesOff_servesLikeTheOldestKernel) {
  ProactorOptions options;
  options.disabledFeatures = {"no_sqarray", "no_iowait", "registered_ring", "multishot_accept",
                              "accept_dontwait"};
  echoWith(options);
}

TEST_F(UringOptionsTest, MultishotAccept_onOrOff_isOneSubmissionForAllOrOneEach) {
  for (const bool isOn : {true, false}) {
    ProactorOptions options;
    if (!isOn) options.disabledFeatures = {"multishot_accept"};
    const bool isMultishot = isOn && uringSupport().available.multishotAccept;
    ConformanceKernelWorld world(makeUringProactor, options);
    ConformanceLoop loop(world.makeProactor());
    const ConformanceSocket listener(loop, loop.proactor().listen(InetAddress::loopback(0), {}));
    ConformanceOperation accept(loop);
    accept.accept(listener.get());
    const InetAddress address = loop.proactor().localAddress(listener.get());
    std::vector<std::unique_ptr<ConformancePeer>> peers;
    for (int i = 0; i < 10; ++i) peers.push_back(world.connectTo(address));
    ASSERT_TRUE(loop.runUntil([&] { return accept.told().size() == 10; }));
    EXPECT_EQ(loop.counters().submissions.get(), isMultishot ? 1U : 11U);
    for (const auto& told : accept.told()) loop.proactor().close(told.socket);
  }
}

TEST_F(UringOptionsTest, Features_reachTheRing) {
  const auto flagsWithout = [](const char* name) {
    ProactorOptions options;
    options.disabledFeatures = {name};
    return UringProactor(options).grant().setupFlags;
  };
  EXPECT_EQ(flagsWithout("no_sqarray") & uapi::kSetupNoSqArray, 0U);
  const bool has = uringSupport().available.noSqArray;
  EXPECT_EQ((flagsWithout("no_iowait") & uapi::kSetupNoSqArray) != 0, has);
}

TEST_F(UringOptionsTest, IoPolling_isRefusedWithTheReasonAndWhatToUseInstead) {
  ProactorOptions options;
  options.ioPolling = true;
  try {
    UringProactor proactor(options);
    ADD_FAILURE() << "IOPOLL was accepted";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EINVAL);
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr("IOPOLL"), testing::HasSubstr("O_DIRECT"),
                               testing::HasSubstr("submissionPolling")));
  }
}

// --- SQPOLL

class SubmissionPollingTest : public UringOptionsTest {
 protected:
  static constexpr const char* kPollerName = "iou-sqp-";

  using Task = std::filesystem::path;

  // The poller threads of this process; those of closed rings end some time later.
  static std::set<Task> pollers() {
    std::set<Task> found;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::string name;
      std::ifstream(task.path() / "comm") >> name;
      if (name.starts_with(kPollerName)) found.insert(task.path());
    }
    return found;
  }
  // That of a ring that was made since. It names itself when it has begun to run.
  static Task newPoller(const std::set<Task>& before) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < limit) {
      for (const Task& task : pollers()) {
        if (!before.contains(task)) return task;
      }
      ::sched_yield();
    }
    throw std::runtime_error("no poller came");
  }
  static bool isAsleep(const Task& task) {
    std::string stat;
    std::getline(std::ifstream(task / "stat"), stat);
    return stat.substr(stat.rfind(')') + 2, 1) == "S";
  }
  static bool waitUntilAsleep(const Task& task) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!isAsleep(task)) {
      if (std::chrono::steady_clock::now() > limit) return false;
      ::sched_yield();
    }
    return true;
  }

  static ProactorOptions polling(TimeSpan idle) {
    ProactorOptions options;
    options.submissionPolling.enabled = true;
    options.submissionPolling.idle = idle;
    return options;
  }
};

TEST_F(SubmissionPollingTest, Grant_readsBackWhatTheKernelGave) {
  ProactorOptions options = polling(milliseconds(1));
  options.submissionEntries = 64;
  options.completionEntries = 512;
  const RingGrant grant = UringProactor(options).grant();
  EXPECT_NE(grant.setupFlags & IORING_SETUP_SQPOLL, 0U);
  EXPECT_EQ(grant.setupFlags & IORING_SETUP_DEFER_TASKRUN, 0U);
  EXPECT_EQ(grant.submissionEntries, 64U);
  EXPECT_EQ(grant.completionEntries, 512U);
  EXPECT_NE(grant.features, 0U);
}

TEST_F(SubmissionPollingTest, Echo_thePollerIsAwakeOrAsleep_serves) {
  echoWith(polling(milliseconds(1)));
  echoWith(polling(milliseconds(200)));
}

TEST_F(SubmissionPollingTest, Echo_thePollerNeverSleeps_serves) {
  echoWith(polling(milliseconds::max()));
  echoWith(polling(milliseconds(0)));
}

TEST_F(SubmissionPollingTest, Echo_tinyQueues_serves) {
  ProactorOptions options = polling(milliseconds(1));
  options.submissionEntries = 8;
  options.completionEntries = 64;
  options.receiveBuffers = options.receiveBuffersMax = 2;
  options.receiveBufferSize = 512;
  echoWith(options);
}

TEST_F(SubmissionPollingTest, Send_afterThePollerFellAsleep_wakesIt) {
  ConformanceKernelWorld world(makeUringProactor, polling(milliseconds(1)));
  const std::set<Task> before = pollers();
  ConformanceLoop loop(world.makeProactor());
  const Task poller = newPoller(before);
  ConformanceLink link = world.link(loop.proactor(), 0);
  const ConformanceSocket socket(loop, link.near);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(waitUntilAsleep(poller));
    ConformanceOperation send(loop);
    send.send(socket.get(), "wake");
    EXPECT_EQ(send.join().bytes, 4U);
    EXPECT_EQ(loop.receiveAll(*link.far, 4), "wake");
  }
}

TEST_F(SubmissionPollingTest, Cpu_thePollerIsPinnedToIt) {
  cpu_set_t usable;
  ASSERT_EQ(::sched_getaffinity(0, sizeof usable, &usable), 0);
  std::size_t cpu = 0;
  while (!CPU_ISSET(cpu, &usable)) ++cpu;
  ProactorOptions options = polling(milliseconds(1));
  options.submissionPolling.cpu = static_cast<int>(cpu);
  const std::set<Task> before = pollers();
  const UringProactor proactor(options);
  EXPECT_NE(proactor.grant().setupFlags & IORING_SETUP_SQ_AFF, 0U);
  const Task poller = newPoller(before);
  cpu_set_t pinned;
  ASSERT_EQ(::sched_getaffinity(std::stoi(poller.filename()), sizeof pinned, &pinned), 0);
  EXPECT_EQ(CPU_COUNT(&pinned), 1);
  EXPECT_TRUE(CPU_ISSET(cpu, &pinned));
}

TEST_F(SubmissionPollingTest, Cpu_thatDoesNotExist_throwsNamingIt) {
  ProactorOptions options = polling(milliseconds(1));
  options.submissionPolling.cpu = 4095;
  try {
    UringProactor proactor(options);
    ADD_FAILURE() << "a poller was pinned to a CPU that is not there";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EINVAL);
    EXPECT_THAT(error.what(), testing::HasSubstr("CPU 4095"));
  }
}

}  // namespace
}  // namespace gyre
