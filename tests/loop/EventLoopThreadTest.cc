// EventLoopThreadTest: one loop on a thread of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <initializer_list>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "gyre/loop/EventLoopThread.h"
#include "gyre/loop/EventLoopThreadPool.h"

namespace gyre {
namespace {

LoopThreadOptions threadOptions() {
  LoopThreadOptions options;
  options.proactor = defaultProactorOptions();
  return options;
}

// Of this process: those that have `name`.
int threadsNamed(const std::string& name) {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string found;
    std::getline(std::ifstream(task.path() / "comm"), found);
    count += found == name ? 1 : 0;
  }
  return count;
}

// The thread of the log, when a loop's has made it, bears its maker's name for a moment.
bool isOneNamed(const std::string& name) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (threadsNamed(name) != 1) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

// A thread that was joined is listed a moment longer.
bool areGone(std::initializer_list<const char*> names) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (const char* name : names) {
    while (threadsNamed(name) != 0) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::yield();
    }
  }
  return true;
}

// The CPU that the loop's thread is pinned to; -1 when it may run on several.
int cpuOf(EventLoop* loop) {
  std::promise<int> answer;
  loop->runInLoop([&answer] {
    cpu_set_t cpus;
    ::sched_getaffinity(0, sizeof cpus, &cpus);
    int cpu = -1;
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(static_cast<std::size_t>(i), &cpus)) cpu = i;
    }
    answer.set_value(CPU_COUNT(&cpus) == 1 ? cpu : -1);
  });
  return answer.get_future().get();
}

int someCpu() {
  cpu_set_t cpus;
  ::sched_getaffinity(0, sizeof cpus, &cpus);
  int cpu = 0;
  while (!CPU_ISSET(static_cast<std::size_t>(cpu), &cpus)) ++cpu;
  return cpu;
}

bool runsOnItsOwnThread(EventLoop* loop) {
  std::promise<std::thread::id> id;
  loop->queueInLoop([&id] { id.set_value(std::this_thread::get_id()); });
  return id.get_future().get() != std::this_thread::get_id() && !loop->isInLoopThread();
}

TEST(EventLoopThreadTest, StartLoop_returnsALoopThatRunsElsewhere) {
  EventLoopThread thread(threadOptions());
  EventLoop* loop = thread.startLoop();
  ASSERT_NE(loop, nullptr);
  EXPECT_TRUE(runsOnItsOwnThread(loop));
}

TEST(EventLoopThreadTest, Init_runsOnTheLoopsThreadBeforeStartReturns) {
  EventLoop* given = nullptr;
  std::thread::id where;
  EventLoopThread thread(threadOptions(), [&](EventLoop* loop) {
    given = loop;
    where = std::this_thread::get_id();
    EXPECT_TRUE(loop->isInLoopThread());
  });
  EXPECT_EQ(thread.startLoop(), given);
  EXPECT_NE(where, std::thread::id());
  EXPECT_NE(where, std::this_thread::get_id());
}

TEST(EventLoopThreadTest, Init_throws_reachesTheCallerAndNoThreadIsLeft) {
  LoopThreadOptions options = threadOptions();
  options.name = "throws";
  EventLoopThread thread(options, [](EventLoop*) { throw std::runtime_error("on purpose"); });
  EXPECT_THROW(thread.startLoop(), std::runtime_error);
  EXPECT_TRUE(areGone({"throws"}));
}

TEST(EventLoopThreadTest, Engine_cannotBeMade_reachesTheCaller) {
  LoopThreadOptions options = threadOptions();
  options.proactor.engine = Engine::Uring;
  options.proactor.ioPolling = true;
  EventLoopThread thread(options);
  EXPECT_THROW(thread.startLoop(), std::system_error);
}

TEST(EventLoopThreadTest, Cpu_thatDoesNotExist_throwsNamingIt) {
  for (const int cpu : {1023, 1024, 1'000'000}) {
    LoopThreadOptions options = threadOptions();
    options.cpu = cpu;
    EventLoopThread thread(options);
    try {
      thread.startLoop();
      ADD_FAILURE() << "a loop was pinned to CPU " << cpu;
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), EINVAL);
      EXPECT_THAT(error.what(), testing::HasSubstr("CPU " + std::to_string(cpu)));
    }
  }
}

TEST(EventLoopThreadTest, Cpu_given_pinsTheThreadAndNotTheCaller) {
  cpu_set_t before;
  ::sched_getaffinity(0, sizeof before, &before);
  LoopThreadOptions options = threadOptions();
  options.cpu = someCpu();
  EventLoopThread thread(options);
  EXPECT_EQ(cpuOf(thread.startLoop()), options.cpu);
  cpu_set_t after;
  ::sched_getaffinity(0, sizeof after, &after);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

TEST(EventLoopThreadTest, Name_isCutToWhatTheKernelKeeps) {
  LoopThreadOptions options = threadOptions();
  options.name = "a-name-that-is-far-too-long";
  EventLoopThread thread(options);
  thread.startLoop();
  EXPECT_TRUE(isOneNamed("a-name-that-is-"));
}

TEST(EventLoopThreadTest, Destructor_runsWhatWasPostedAndJoins) {
  int ran = 0;
  {
    LoopThreadOptions options = threadOptions();
    options.name = "joined";
    EventLoopThread thread(options);
    EventLoop* loop = thread.startLoop();
    for (int i = 0; i < 5000; ++i) loop->queueInLoop([&ran] { ++ran; });
  }
  EXPECT_EQ(ran, 5000);
  EXPECT_TRUE(areGone({"joined"}));
}

TEST(EventLoopThreadTest, Destructor_theLoopQuitByItself_joins) {
  RefPtr<Mailbox> mailbox;
  {
    EventLoopThread thread(threadOptions());
    EventLoop* loop = thread.startLoop();
    mailbox = loop->mailbox();
    loop->runInLoop([loop] { loop->quit(); });
    while (mailbox->post([] {})) std::this_thread::yield();
  }
  EXPECT_FALSE(mailbox->post([] {}));
}

TEST(EventLoopThreadTest, Init_quits_theLoopEndsAndTheDestructorJoins) {
  EventLoopThread thread(threadOptions(), [](EventLoop* loop) { loop->quit(); });
  thread.startLoop();
}

TEST(EventLoopThreadTest, Destructor_neverStarted_isNothing) {
  const EventLoopThread thread(threadOptions());
}

TEST(EventLoopThreadDeathTest, StartLoop_twice_isCaught) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        EventLoopThread thread(threadOptions());
        thread.startLoop();
        thread.startLoop();
      },
      "started twice");
}

// --- The pool

class EventLoopThreadPoolTest : public testing::Test {
 protected:
  EventLoop base_{};
  EventLoopThreadPool pool_{&base_, "pool"};
};
using EventLoopThreadPoolDeathTest = EventLoopThreadPoolTest;

TEST_F(EventLoopThreadPoolTest, GetNextLoop_isRoundRobinExactly) {
  pool_.setThreadNum(3);
  pool_.start();
  const std::vector<EventLoop*> all = pool_.getAllLoops();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(std::set<EventLoop*>(all.begin(), all.end()).size(), 3U);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(pool_.getNextLoop(), all[i % 3]);
  for (EventLoop* loop : all) EXPECT_TRUE(runsOnItsOwnThread(loop));
}

TEST_F(EventLoopThreadPoolTest, Default_isTheCpusOfThisProcess) {
  cpu_set_t cpus;
  ::sched_getaffinity(0, sizeof cpus, &cpus);
  EXPECT_EQ(pool_.threadNum(), CPU_COUNT(&cpus));
}

TEST_F(EventLoopThreadPoolTest, NoThreads_everythingIsTheBaseLoop) {
  pool_.setThreadNum(0);
  EventLoop* given = nullptr;
  pool_.start([&given](EventLoop* loop) { given = loop; });
  EXPECT_EQ(given, &base_);
  EXPECT_EQ(pool_.getNextLoop(), &base_);
  EXPECT_EQ(pool_.getNextLoop(), &base_);
  EXPECT_EQ(pool_.getAllLoops(), std::vector<EventLoop*>{&base_});
}

TEST_F(EventLoopThreadPoolTest, SetThreadNum_outOfRange_throwsAndNamesTheRange) {
  for (const int count : {-1, 1025, 100'000, std::numeric_limits<int>::min()}) {
    try {
      pool_.setThreadNum(count);
      ADD_FAILURE() << count << " threads were accepted";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), EINVAL);
      EXPECT_THAT(error.what(), testing::HasSubstr("0 to 1024"));
    }
  }
  pool_.setThreadNum(1024);
  EXPECT_EQ(pool_.threadNum(), 1024);
}

TEST_F(EventLoopThreadPoolTest, SetCpus_pinsInTurn) {
  const int cpu = someCpu();
  pool_.setThreadNum(3);
  pool_.setCpus({cpu});
  pool_.start();
  for (EventLoop* loop : pool_.getAllLoops()) EXPECT_EQ(cpuOf(loop), cpu);
}

TEST_F(EventLoopThreadPoolTest, SetCpus_severalCpus_areDealtOut) {
  cpu_set_t cpus;
  ::sched_getaffinity(0, sizeof cpus, &cpus);
  std::vector<int> all;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(static_cast<std::size_t>(i), &cpus)) all.push_back(i);
  }
  pool_.setThreadNum(4);
  pool_.setCpus(all);
  pool_.start();
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(cpuOf(pool_.getAllLoops()[i]), all[i % all.size()]);
  }
}

TEST_F(EventLoopThreadPoolTest, Start_oneThreadFails_throwsAndLeavesNoneRunning) {
  pool_.setThreadNum(3);
  pool_.setCpus({someCpu(), 1023});
  EXPECT_THROW(pool_.start(), std::system_error);
  EXPECT_FALSE(pool_.isStarted());
  EXPECT_TRUE(areGone({"pool-0", "pool-1", "pool-2"}));
  pool_.setCpus({});
  pool_.start();
  EXPECT_EQ(pool_.getAllLoops().size(), 3U);
}

TEST_F(EventLoopThreadPoolTest, Start_initThrowsOnTheBaseLoop_leavesItStartable) {
  pool_.setThreadNum(0);
  EXPECT_THROW(pool_.start([](EventLoop*) { throw std::runtime_error("on purpose"); }),
               std::runtime_error);
  EXPECT_FALSE(pool_.isStarted());
  int inits = 0;
  pool_.start([&inits](EventLoop*) { ++inits; });
  EXPECT_EQ(inits, 1);
}

TEST_F(EventLoopThreadPoolTest, Init_runsOnceInEachThread) {
  std::atomic<int> runs{0};
  std::atomic<int> elsewhere{0};
  pool_.setThreadNum(4);
  pool_.start([&](EventLoop* loop) {
    ++runs;
    elsewhere += loop->isInLoopThread() ? 0 : 1;
  });
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(elsewhere, 0);
}

TEST_F(EventLoopThreadPoolTest, Names_areThePoolsAndANumber) {
  pool_.setThreadNum(2);
  pool_.start();
  EXPECT_TRUE(isOneNamed("pool-0"));
  EXPECT_TRUE(isOneNamed("pool-1"));
}

TEST_F(EventLoopThreadPoolTest, SetLoops_areDealtOutInsteadOfThreads) {
  EventLoopThread first(threadOptions());
  EventLoopThread second(threadOptions());
  const std::vector<EventLoop*> loops = {first.startLoop(), second.startLoop()};
  pool_.setThreadNum(4);
  pool_.setLoops(loops);
  pool_.start();
  EXPECT_EQ(pool_.getAllLoops(), loops);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(pool_.getNextLoop(), loops[i % 2]);
  EXPECT_EQ(threadsNamed("pool-0"), 0);
}

TEST_F(EventLoopThreadPoolTest, Destructor_functorsAreQueued_runsThemAndJoins) {
  int ran = 0;
  {
    EventLoopThreadPool pool(&base_, "ends");
    pool.setThreadNum(1);
    pool.start();
    for (int i = 0; i < 5000; ++i) pool.getNextLoop()->queueInLoop([&ran] { ++ran; });
  }
  EXPECT_EQ(ran, 5000);
  EXPECT_TRUE(areGone({"ends-0"}));
}

TEST_F(EventLoopThreadPoolDeathTest, Misuse_isCaught) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  pool_.setThreadNum(0);
  EXPECT_DEATH(pool_.getNextLoop(), "not been started");
  EXPECT_DEATH(pool_.getAllLoops(), "not been started");
  pool_.start();
  EXPECT_DEATH(pool_.start(), "started twice");
  EXPECT_DEATH(pool_.setThreadNum(1), "setThreadNum was called after start");
}

}  // namespace
}  // namespace gyre
