#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <thread>

#include "co/CoFixture.h"
#include "gyre/loop/EventLoopThread.h"

namespace gyre::co {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class SpawnTest : public CoFixture {};

Task<int> value(int number) {
  co_await sleep(Duration::zero());
  co_return number;
}

Task<std::thread::id> whichThread() { co_return std::this_thread::get_id(); }

Task<> waitForEver(int& living) {
  const Token token(living);
  co_await sleep(hours(1));
}

TEST_F(SpawnTest, Join_hasTheValue_fromAnotherLoop) {
  EventLoopThread thread({.proactor = testProactorOptions()});
  auto job = spawn(thread.startLoop(), value(3));
  const auto join = [&]() -> Task<int> { co_return co_await job.join(); };

  Result<int> result = run(join());

  ASSERT_TRUE(result) << errorOf(result);
  EXPECT_EQ(*result, 3);
}

TEST_F(SpawnTest, RunOn_runsThere_andComesBack) {
  EventLoopThread thread({.proactor = testProactorOptions()});
  EventLoop* other = thread.startLoop();
  std::thread::id there;
  std::thread::id here;
  const auto both = [&]() -> Task<> {
    there = co_await runOn(other, whichThread());
    here = std::this_thread::get_id();
  };

  const Result<void> result = run(both());

  ASSERT_TRUE(result) << errorOf(result);
  EXPECT_NE(there, here);
  EXPECT_EQ(here, std::this_thread::get_id());
}

TEST_F(SpawnTest, RunOn_cancelled_cancelsThereAndWaitsForTheEnd) {
  EventLoopThread thread({.proactor = testProactorOptions()});
  EventLoop* other = thread.startLoop();
  int living = 0;

  const Result<void> result = run(withTimeout(milliseconds(5), runOn(other, waitForEver(living))));

  EXPECT_EQ(errorOf(result), TimedOut().what());
  EXPECT_EQ(living, 0);
}

TEST_F(SpawnTest, RunOn_aLoopThatHasEnded_throws) {
  std::optional<EventLoopThread> thread;
  thread.emplace(LoopThreadOptions{.proactor = testProactorOptions()});
  EventLoop* other = thread->startLoop();
  const RefPtr<Mailbox> mailbox = other->mailbox();
  Spawned<int> job = spawn(other, value(1));
  const auto join = [&]() -> Task<int> { co_return co_await job.join(); };
  ASSERT_TRUE(run(join()));
  thread.reset();

  EXPECT_FALSE(mailbox->post([] {}));
}

TEST_F(SpawnTest, Cancel_fromAnotherThread_endsTheTask) {
  int living = 0;
  const auto job = spawn(&loop(), waitForEver(living));
  runOnce();
  ASSERT_EQ(living, 1);

  std::thread([&] { job.cancel(); }).join();

  EXPECT_TRUE(runUntil([&] { return job.hasEnded(); }));
  EXPECT_EQ(living, 0);
}

TEST_F(SpawnTest, Cancel_beforeItsFirstWait_endsAtTheFirst) {
  int living = 0;
  const auto job = spawn(&loop(), waitForEver(living));

  job.cancel();

  EXPECT_TRUE(runUntil([&] { return job.hasEnded(); }));
  EXPECT_EQ(living, 0);
}

TEST_F(SpawnTest, StopToken_cancelsFromAnotherThread) {
  std::stop_source source;
  int living = 0;
  const auto job = spawn(&loop(), waitForEver(living), source.get_token());
  runOnce();

  std::thread([&] { source.request_stop(); }).join();

  EXPECT_TRUE(runUntil([&] { return job.hasEnded(); }));
  EXPECT_EQ(living, 0);
}

TEST_F(SpawnTest, LoopEnd_cancelsAllTasks_andFreesTheirFrames) {
  int living = 0;
  for (int i = 0; i < 100; ++i) static_cast<void>(spawn(&loop(), waitForEver(living)));
  runOnce();
  ASSERT_EQ(living, 100);

  endLoop();

  EXPECT_EQ(living, 0);
}

TEST_F(SpawnTest, DetachedTaskThatThrows_isCounted) {
  const auto fails = []() -> Task<> {
    co_await sleep(Duration::zero());
    throw std::runtime_error("on purpose");
  };

  static_cast<void>(spawn(&loop(), fails(), "the one that fails"));

  EXPECT_TRUE(runUntil([&] { return loop().counters().callbackFailures.get() == 1; }));
}

TEST_F(SpawnTest, FromCallback_calledLaterOnAnotherThread_resumesHere) {
  std::thread worker;
  const auto start = [&](Resume<int> resume) { worker = std::thread([resume] { resume(11); }); };
  const auto wait = [&]() -> Task<int> { co_return co_await fromCallback<int>(start); };

  Result<int> result = run(wait());
  worker.join();

  ASSERT_TRUE(result) << errorOf(result);
  EXPECT_EQ(*result, 11);
}

TEST_F(SpawnTest, FromCallback_calledAtOnce_andTwice_countsOnce) {
  const auto start = [](Resume<int> resume) {
    resume(1);
    resume(2);
  };
  const auto wait = [&]() -> Task<int> { co_return co_await fromCallback<int>(start); };

  Result<int> result = run(wait());

  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 1);
}

TEST_F(SpawnTest, FromCallback_cancelled_doesNotMindALateCall) {
  std::function<void()> late;
  const auto start = [&](Resume<void> resume) { late = [resume] { resume(); }; };
  const auto wait = [&]() -> Task<> { co_await fromCallback<void>(start); };

  const Result<void> result = run(withTimeout(milliseconds(1), wait()));
  late();

  EXPECT_EQ(errorOf(result), TimedOut().what());
}

// A script with every kind of wait, cancelled at the n-th suspension, for every n.
TEST_F(SpawnTest, Cancel_atEachSuspension_leavesNothingBehind) {
  int living = 0;
  Channel<int> channel(1);
  Event never;
  Semaphore semaphore(1);
  const auto pause = [&]() -> Task<> {
    const Token token(living);
    co_await sleep(Duration::zero());
  };
  const auto script = [&](int& step) -> Task<> {
    const Token token(living);
    co_await sleep(Duration::zero());
    ++step;
    co_await whenAll(pause(), pause());
    ++step;
    const Permit permit = co_await semaphore.acquire();
    ++step;
    co_await channel.send(1);
    co_await channel.receive();
    ++step;
    co_await withTimeout(hours(1), pause());
    ++step;
    co_await never.wait();
  };
  for (int n = 0; n <= 5; ++n) {
    int step = 0;
    const auto job = spawn(&loop(), script(step));
    ASSERT_TRUE(runUntil([&] { return step >= n; })) << n;

    job.cancel();

    ASSERT_TRUE(runUntil([&] { return job.hasEnded(); })) << n;
    EXPECT_EQ(living, 0) << n;
    EXPECT_EQ(semaphore.available(), 1U) << n;
    EXPECT_EQ(channel.tryReceive(), std::nullopt) << n;
  }
}

}  // namespace
}  // namespace gyre::co
