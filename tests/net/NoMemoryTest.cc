// Memory runs out while an operation is started: its connection closes, that is counted, and the
// next client is served.
#include <limits>

#include "net/AllocationCounter.h"
#include "support/Sanitizers.h"
#include "support/ServerFixture.h"

#ifndef GYRE_TEST_SANITIZED

namespace gyre {
namespace {

constexpr std::size_t kLarge = 4 << 20;  // more than a socket takes at once
constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max() - 1;

using NoMemoryTest = ServerFixture;

TEST_F(NoMemoryTest, OperationThatCannotBeStarted_closesItsConnection_andIsCounted) {
  std::uint64_t counted = 0;
  for (std::size_t after = 0; after < 30; ++after) {
    bool isFirst = true;
    start({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
      if (!isFirst) return connection->send(in);
      isFirst = false;
      in.retrieveAll();
      std::string large(kLarge, 'l');
      refuseAllocation(after);
      connection->send(std::move(large));
    }});
    {
      Peer peer = connect(4096);
      ASSERT_TRUE(peer.send("?"));
      ASSERT_TRUE(runUntil([&] { return !isFirst; }));
      for (int i = 0; i < 3; ++i) runOnce();
      refuseAllocation(kNone);
      const std::uint64_t now = server()->stats().loops.front().operationsNoMemory;
      if (now != 0) {
        EXPECT_LT(peer.receive(kLarge).size(), kLarge);
      }
      counted += now;
    }
    EXPECT_TRUE(echoes());
    endServer();
    endLoop();
  }
  EXPECT_GT(counted, 0U);
}

}  // namespace
}  // namespace gyre

#endif
