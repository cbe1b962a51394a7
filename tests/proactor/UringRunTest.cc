// UringRunTest: what one run of the engine fetches from the ring.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <deque>

#include "gyre/base/UniqueFd.h"
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

}  // namespace
}  // namespace gyre
