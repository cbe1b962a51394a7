// A direct send that fails in the kernel drops its bytes: the stream ends with RST, not with FIN.
#include "sim/SimServerFixture.h"

namespace gyre {
namespace {

class SimServerLostOutputTest : public SimServerFixture {
 protected:
  // Every send finds no memory in the kernel.
  void startWithoutMemory(std::size_t size) {
    SimOptions options;
    options.faults[SimFault::SendNoMemory] = 1;
    rebuild(options);
    start({.onMessage = [size](const TcpConnectionPtr& connection, Buffer& in) {
      in.retrieveAll();
      connection->send(std::string_view(std::string(size, 'x')));
    }});
  }
  void expectReset() {
    SimClient& one = connect();
    one.send("question").awaitEnd();
    run(1min);
    EXPECT_TRUE(one.wasReset());
    EXPECT_FALSE(one.hasEnded()) << "a part was taken for the whole";
    EXPECT_EQ(endedBy(CloseReason::Error), 1u);
    EXPECT_TRUE(life(1).error == ENOBUFS || life(1).error == ENOMEM) << life(1).error;
  }
};

TEST_F(SimServerLostOutputTest, SendAtOnce_noMemoryInTheKernel_resets) {
  startWithoutMemory(16 * 1024);
  expectReset();
}

TEST_F(SimServerLostOutputTest, SendLater_noMemoryInTheKernel_resets) {
  startWithoutMemory(16);
  expectReset();
}

}  // namespace
}  // namespace gyre
