// Clients that connect and reset by the hundred, and few descriptors: closing keeps up with
// accepting.
#include <signal.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>
#include <vector>

#include "support/LoopFixture.h"
#include "support/Peer.h"
#include "support/ServerProcess.h"

namespace gyre {
namespace {

constexpr std::size_t kDescriptors = 256;
constexpr std::size_t kStorm = 600;  // all of them are in the backlog at once
constexpr std::size_t kStorms = 5;

class AcceptStormTest : public LoopFixture {
 protected:
  // The server stands still meanwhile: it finds a backlog in which each client has left already.
  static void storm(ServerProcess& server) {
    ::kill(server.process().pid(), SIGSTOP);
    for (std::size_t i = 0; i < kStorm; ++i) Peer(server.address()).reset();
    ::kill(server.process().pid(), SIGCONT);
  }
  static void waitForAccepts(ServerProcess& server, std::size_t count) {
    const auto limit = std::chrono::steady_clock::now() + kPatience;
    while (server.counters().accepts < count) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << server.counters().accepts;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void stormOn(int threads) {
    ServerProcess server({.descriptors = kDescriptors, .threads = threads});
    Peer stays(server.address());
    for (std::size_t i = 1; i <= kStorms; ++i) {
      storm(server);
      waitForAccepts(server, 1 + i * kStorm);
    }
    EXPECT_EQ(server.counters().acceptsNoDescriptors, 0U);
    ASSERT_TRUE(stays.send("hello"));
    EXPECT_EQ(stays.receive(5), "hello");
  }
};

TEST_F(AcceptStormTest, OneLoop_descriptorsSuffice) { stormOn(0); }

TEST_F(AcceptStormTest, TwoWorkers_descriptorsSuffice) { stormOn(2); }

}  // namespace
}  // namespace gyre
