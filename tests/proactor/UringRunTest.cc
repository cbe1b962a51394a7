// UringRunTest: what one run of the engine fetches from the ring.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "gyre/base/UniqueFd.h"
#include "proactor/PageResidency.h"
#include "proactor/UringTest.h"
#include "proactor/uring/UringProactor.h"
#include "support/ConformanceLoop.h"

namespace gyre {
namespace {

class UringRunTest : public UringTest {};

TEST_F(UringRunTest, Run_moreCompletesThanTheQueueHolds_fetchesTheRestInTheSameRun) {
  constexpr std::size_t kPolls = 20;
  ProactorOptions options;
  options.submissionEntries = 4;
  options.completionEntries = 8;
  ConformanceLoop loop(std::make_unique<UringProactor>(options));
  const ConformanceSocket event(loop, loop.proactor().adopt(::eventfd(0, EFD_CLOEXEC)));
  std::deque<ConformanceOperation> polls;
  for (std::size_t i = 0; i < kPolls; ++i) polls.emplace_back(loop).poll(event.get(), POLLIN);
  loop.run(kNoWait);
  ASSERT_EQ(loop.counters().overflows.get(), 0U);

  const std::uint64_t one = 1;
  ASSERT_EQ(::write(event.get().value(), &one, sizeof one), ssize_t{sizeof one});
  loop.run(kNoWait);
  for (const ConformanceOperation& poll : polls) EXPECT_TRUE(poll.hasEnded());
  EXPECT_GT(loop.counters().overflows.get(), 0U);
}

// A burst makes the ring of buffers grow; when it is over, its pages are the system's again, and
// what comes later arrives as before.
TEST_F(UringRunTest, GrownBuffers_nothingComesForAWhile_giveTheirPagesBack) {
  constexpr std::size_t kStreams = 40;
  ProactorOptions options;
  options.receiveBuffers = 2;
  options.receiveBufferSize = 4096;
  ConformanceLoop loop(std::make_unique<UringProactor>(options));
  std::vector<UniqueFd> peers;
  std::vector<ConformanceSocket> sockets;
  std::deque<ConformanceOperation> receives;
  std::set<const char*> pages;
  const std::string text(4096, 'x');
  std::size_t received = 0;
  for (std::size_t i = 0; i < kStreams; ++i) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    peers.emplace_back(ends[0]);
    sockets.emplace_back(loop, loop.proactor().adopt(ends[1]));
    ConformanceOperation& receive = receives.emplace_back(loop);
    receive.onCompletion = [&](const IoResult& result) {
      received += result.bytes;
      if (result.bytes != 0) pages.insert(result.data);
    };
    receive.receive(sockets.back().get());
  }
  const auto burst = [&] {
    received = 0;
    for (const UniqueFd& peer : peers) {
      ASSERT_EQ(::write(peer.get(), text.data(), text.size()), ssize_t{4096});
    }
    ASSERT_TRUE(loop.runUntil([&] { return received == kStreams * text.size(); }));
  };
  const auto resident = [&] {
    std::size_t count = 0;
    for (const char* page : pages) count += residentPages(page, 4096);
    return count;
  };
  for (int i = 0; i < 5; ++i) burst();
  ASSERT_GT(pages.size(), 8U) << "it has grown";
  EXPECT_EQ(resident(), pages.size());
  EXPECT_TRUE(loop.runUntil([&] { return resident() == 0; }));
  burst();
  for (const ConformanceOperation& receive : receives) {
    EXPECT_EQ(receive.data(), std::string(6 * text.size(), 'x'));
  }
  const std::uint64_t enters = loop.counters().enters.get();
  loop.run(loop.proactor().now() + std::chrono::milliseconds(1700));
  loop.run(loop.proactor().now() + std::chrono::milliseconds(300));
  EXPECT_LE(loop.counters().enters.get() - enters, 10U) << "it does not spin";
}

}  // namespace
}  // namespace gyre
