// SharedListenerTest: two engines accept on one listener, as two processes do that share it, and
// one of them stops: no client is overlooked.
#include <unistd.h>

#include <memory>
#include <string>
#include <tuple>

#include "proactor/UringTest.h"
#include "proactor/epoll/EpollProactor.h"
#include "proactor/uring/UringProactor.h"
#include "support/ConformanceKernelWorld.h"
#include "support/ConformanceLoop.h"

namespace gyre {
namespace {

enum class Family : std::uint8_t { Tcp, Unix };

std::unique_ptr<Proactor> makeEngine(Engine engine) {
  return engine == Engine::Uring ? makeUringProactor({}) : makeEpollProactor({});
}

class SharedListenerTest : public testing::TestWithParam<std::tuple<Engine, Engine, Family>> {
 protected:
  void SetUp() override {
    const auto [opener, heir, family] = GetParam();
    if (opener != Engine::Uring && heir != Engine::Uring) return;
    if (!uringSupport().available.acceptDontWait) {
      GTEST_SKIP() << "io_uring here cannot: gyre doctor says why";
    }
  }

  InetAddress address() const {
    if (std::get<Family>(GetParam()) == Family::Tcp) return InetAddress::loopback(0);
    return InetAddress("unix:@gyre-shared-" + std::to_string(::getpid()));
  }
};

// Both wait. The client comes after the last look of the one that stops, so that the kernel has
// told that one of it; which then ends its accept instead.
TEST_P(SharedListenerTest, OneStops_theClientThatItWasToldOf_isAcceptedByTheOther) {
  ConformanceLoop opener(makeEngine(std::get<0>(GetParam())));
  ConformanceLoop heir(makeEngine(std::get<1>(GetParam())));
  ConformanceSocket listener(opener, opener.proactor().listen(address(), {}));
  ConformanceSocket shared(heir, heir.proactor().adopt(::dup(listener.get().value())));
  ConformanceKernelWorld world(makeUringProactor, {});
  ConformanceOperation accept(heir);
  accept.onCompletion = [&](const IoResult& result) {
    if (result.more) heir.proactor().close(result.socket);
  };
  std::size_t served = 0;
  for (const bool isHeirToo : {false, true}) {  // of a restart, and of the next one
    ConformanceOperation stopped(opener);
    isHeirToo ? stopped.acceptShared(listener.get()) : stopped.accept(listener.get());
    opener.settle();
    if (!accept.isInFlight()) accept.acceptShared(shared.get());
    heir.settle();
    const auto client = world.connectTo(opener.proactor().localAddress(listener.get()));
    opener.cancel(stopped);
    EXPECT_EQ(stopped.join().error, ECANCELED);
    if (stopped.told().size() > 1) {  // taken before the cancel: served, and not the heir's
      opener.proactor().close(stopped.told().front().socket);
    } else {
      ++served;
    }
    EXPECT_TRUE(heir.runUntil([&] { return accept.told().size() == served; }));
  }
  heir.cancel(accept);
  accept.join();
}

std::string nameOf(const testing::TestParamInfo<SharedListenerTest::ParamType>& info) {
  const auto [opener, heir, family] = info.param;
  return std::string(engineName(opener)) + "To" + std::string(engineName(heir)) +
         (family == Family::Tcp ? "Tcp" : "Unix");
}

INSTANTIATE_TEST_SUITE_P(Engines, SharedListenerTest,
                         testing::Combine(testing::Values(Engine::Uring, Engine::Epoll),
                                          testing::Values(Engine::Uring, Engine::Epoll),
                                          testing::Values(Family::Tcp, Family::Unix)),
                         nameOf);

}  // namespace
}  // namespace gyre
