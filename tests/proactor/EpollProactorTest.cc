// What the epoll engine promises beyond the contract; the rest is in tests/conformance.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

#include "proactor/epoll/EpollProactor.h"
#include "support/ConformanceKernelWorld.h"
#include "support/ConformanceLoop.h"

namespace gyre {
namespace {

using std::chrono::microseconds;

class EpollProactorTest : public testing::Test {
 protected:
  ConformanceKernelWorld world_{makeEpollProactor, {}};
  ConformanceLoop loop_{world_.makeProactor()};
};

// One wait, one receive, one send: what was queued is done by the run() that waits next.
TEST_F(EpollProactorTest, Run_steadyEcho_waitsOncePerMessage) {
  constexpr std::size_t kMessages = 500;
  ConformanceLink link = world_.link(loop_.proactor(), 0);
  {
    ConformanceOperation receive(loop_);
    ConformanceOperation send(loop_);
    receive.onCompletion = [&](const IoResult& result) {
      if (result.more) send.send(link.near, "pong");
    };
    receive.receive(link.near);
    loop_.settle();
    const std::uint64_t before = loop_.counters().enters.get();
    for (std::size_t i = 1; i <= kMessages; ++i) {
      ASSERT_EQ(link.far->sendSome("ping"), 4U);
      while (send.told().size() < i) {
        loop_.run(loop_.proactor().now() + std::chrono::seconds(10));
      }
    }
    EXPECT_LE(loop_.counters().enters.get() - before, kMessages + 2);
    EXPECT_EQ(receive.told().size(), kMessages) << "one receive each, none in vain";
  }
  loop_.proactor().close(link.near);
}

// A handler that always starts the next operation must not keep the events of others from being
// looked at.
TEST_F(EpollProactorTest, Run_queuedWorkNeverEnds_eventsAreSeenAllTheSame) {
  ConformanceLink busy = world_.link(loop_.proactor(), 0);
  ConformanceLink quiet = world_.link(loop_.proactor(), 0);
  {
    ConformanceOperation send(loop_);
    ConformanceOperation receive(loop_);
    std::string ignored;
    send.onCompletion = [&](const IoResult&) {
      busy.far->receiveSome(ignored, 4096);
      send.send(busy.near, "x");
    };
    receive.receive(quiet.near);
    loop_.run(kNoWait);
    send.send(busy.near, "x");
    loop_.run(kNoWait);
    ASSERT_EQ(quiet.far->sendSome("hello"), 5U);
    for (int i = 0; i < 3; ++i) loop_.run(kNoWait);
    EXPECT_EQ(receive.data(), "hello");
    send.onCompletion = nullptr;
  }
  loop_.proactor().close(busy.near);
  loop_.proactor().close(quiet.near);
}

TEST_F(EpollProactorTest, Accept_connections_areNonBlockingAndCloseOnExec) {
  const SocketHandle listener = loop_.proactor().listen(InetAddress::loopback(0), {});
  {
    ConformanceOperation accept(loop_);
    accept.accept(listener);
    const auto client = world_.connectTo(loop_.proactor().localAddress(listener));
    ASSERT_TRUE(loop_.runUntil([&] { return !accept.told().empty(); }));
    const SocketHandle socket = accept.told().front().socket;
    EXPECT_NE(::fcntl(socket.value(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(socket.value(), F_GETFD) & FD_CLOEXEC, 0);
    loop_.proactor().close(socket);
  }
  loop_.proactor().close(listener);
}

// epoll has no regular files: they are always ready.
TEST_F(EpollProactorTest, Verbs_regularFile_endWithNotPermitted) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const SocketHandle handle = loop_.proactor().adopt(::dup(::fileno(file)));
  std::fclose(file);
  {
    std::array<char, 8> buffer{};
    ConformanceOperation operation(loop_);
    operation.poll(handle, POLLIN);
    EXPECT_TRUE(operation.told().empty());
    EXPECT_EQ(operation.join().error, EPERM);
    operation.read(handle, buffer);
    EXPECT_EQ(operation.join().error, EPERM);
  }
  loop_.proactor().close(handle);
}

// Nothing would say when there is room again.
TEST_F(EpollProactorTest, Connect_unixBacklogIsFull_endsWithTryAgain) {
  const InetAddress address("unix:@gyre-epoll-" + std::to_string(::getpid()));
  Proactor& proactor = loop_.proactor();
  ListenOptions shortest;
  shortest.backlog = 0;
  const SocketHandle listener = proactor.listen(address, shortest);
  const auto first = world_.connectTo(address);
  const SocketHandle second = proactor.socket(AF_UNIX);
  {
    ConformanceOperation connect(loop_);
    connect.connect(second, address);
    EXPECT_EQ(connect.join().error, EAGAIN);
  }
  proactor.close(second);
  proactor.close(listener);
}

class EpollSetTest : public testing::TestWithParam<bool> {};

TEST_P(EpollSetTest, Wait_neverEndsBeforeItsDeadline) {
  EpollSet set;
  if (GetParam()) set.useMilliseconds();
  std::array<epoll_event, 4> events{};
  for (const microseconds wait : {microseconds(1), microseconds(250), microseconds(1500)}) {
    const TimePoint deadline = std::chrono::steady_clock::now() + wait;
    EXPECT_EQ(set.wait(events, deadline), 0U);
    EXPECT_GE(std::chrono::steady_clock::now(), deadline);
  }
}

TEST_P(EpollSetTest, Wait_readyAlready_isReportedOnce) {
  EpollSet set;
  if (GetParam()) set.useMilliseconds();
  const UniqueFd event(::eventfd(1, EFD_CLOEXEC));
  std::array<epoll_event, 4> events{};
  ASSERT_EQ(set.add(event.get(), EpollSet::kWatched, 42), 0);
  EXPECT_EQ(set.add(event.get(), EpollSet::kWatched, 42), EEXIST);
  ASSERT_EQ(set.wait(events, kNoWait), 1U);
  EXPECT_EQ(events[0].data.u64, 42U);
  EXPECT_EQ(set.wait(events, kNoWait), 0U) << "no new edge";
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(event.get(), &one, sizeof one), ssize_t{sizeof one});
  EXPECT_EQ(set.wait(events, std::chrono::steady_clock::now() + std::chrono::seconds(5)), 1U);
  set.remove(event.get());
  ASSERT_EQ(::write(event.get(), &one, sizeof one), ssize_t{sizeof one});
  EXPECT_EQ(set.wait(events, kNoWait), 0U);
}

INSTANTIATE_TEST_SUITE_P(Timeouts, EpollSetTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& mode) {
                           return mode.param ? "Milliseconds" : "Nanoseconds";
                         });

}  // namespace
}  // namespace gyre
