#include <sys/socket.h>

#include <thread>

#include "gyre/loop/EventLoop.h"
#include "gyre/server/TcpServer.h"
#include "sim/SimFixture.h"

namespace gyre {
namespace {

// Every REQUIRES of the contract, broken once.
class SimChecksTest : public SimFixture {
 protected:
  SimChecksTest() : client_(std::make_unique<SimClient>(network(), "client")) {
    GTEST_FLAG_SET(death_test_style, "fast");
    socket_ = acceptFrom(*client_);
    engine().receive(receive_.context, socket_);
  }
  void TearDown() override {
    engine().cancel(receive_.context);
    EXPECT_TRUE(runUntilEnd(receive_));
    engine().close(socket_);
    client_.reset();
    SimFixture::TearDown();
  }

  std::unique_ptr<SimClient> client_;
  SocketHandle socket_;
  SimRecorder receive_;
  SimRecorder other_;
};

TEST_F(SimChecksTest, Close_operationInFlight_isCaught) {
  EXPECT_DEATH(engine().close(socket_), "closed with an operation in flight");
}

TEST_F(SimChecksTest, Receive_second_isCaught) {
  std::array<char, 8> into;
  EXPECT_DEATH(engine().receive(other_.context, socket_), "second receive");
  EXPECT_DEATH(engine().receiveInto(other_.context, socket_, into), "second receive");
}

TEST_F(SimChecksTest, Context_usedWhileInFlight_isCaught) {
  EXPECT_DEATH(engine().poll(receive_.context, socket_, 0), "that is in flight");
}

TEST_F(SimChecksTest, Send_second_isCaught) {
  SimRecorder third;
  const auto sendTwice = [&] {
    send(other_, socket_, "one");
    send(third, socket_, "two");
  };
  EXPECT_DEATH(sendTwice(), "second send");
}

TEST_F(SimChecksTest, Send_badSlices_areCaught) {
  const std::string bytes(kSendBytesMax + 1, 'x');
  const std::vector<IoSlice> tooMany(kSendSlicesMax + 1, IoSlice{bytes.data(), 1});
  EXPECT_DEATH(engine().send(other_.context, socket_, {}), "1 to 32 slices");
  EXPECT_DEATH(engine().send(other_.context, socket_, tooMany), "1 to 32 slices");
  EXPECT_DEATH(send(other_, socket_, bytes), "at most 256 KiB");
  EXPECT_DEATH(send(other_, socket_, ""), "no empty slice");
}

TEST_F(SimChecksTest, Send_bytesChangedBeforeTheyAreTaken_isCaught) {
  const auto change = [&] {
    std::string bytes = "hello";
    send(other_, socket_, bytes);
    bytes[3] = 'L';
    settle();
  };
  EXPECT_DEATH(change(), "changed or freed while their send was in flight");
}

TEST_F(SimChecksTest, Send_bytesChangedAfterTheyAreTaken_isCaught) {
  client_->stall();
  const auto change = [&] {
    std::string bytes = simPattern(kSendBytesMax);
    send(other_, socket_, bytes);
    settle();
    bytes[0] = 'x';  // sent long ago, and yet the kernel's until the completion
    client_->resume();
    settle();
  };
  EXPECT_DEATH(change(), "changed or freed while their send was in flight");
}

TEST_F(SimChecksTest, KeepLent_beyondTheNextRun_isCaught) {
  receive_.onResult = [&](const IoResult& result) {
    if (result.data == nullptr) return;
    EXPECT_TRUE(engine().keepLent({result.data, result.bytes}));
  };
  client_->send("hello");
  const auto keep = [&] {
    ASSERT_TRUE(runUntil([&] { return !receive_.data.empty(); }));
    engine().run(kNoWait);
    engine().run(kNoWait);
  };
  EXPECT_DEATH(keep(), "returned before the second next run");
  receive_.onResult = nullptr;
}

TEST_F(SimChecksTest, ReturnLent_onceTooOften_isCaught) {
  receive_.onResult = [&](const IoResult& result) {
    if (result.data != nullptr) engine().returnLent(result.data);
  };
  client_->send("hello");
  EXPECT_DEATH(settle(), "once for each keepLent");
  receive_.onResult = nullptr;
}

TEST_F(SimChecksTest, ShutdownWrite_sendInFlight_isCaught) {
  const auto shut = [&] {
    send(other_, socket_, "hello");
    engine().shutdownWrite(socket_);
  };
  EXPECT_DEATH(shut(), "shutdownWrite with a send in flight");
}

TEST_F(SimChecksTest, Shutdown_listener_isCaught) {
  EXPECT_DEATH(engine().shutdownBoth(listener_), "a listener is never shut down");
  EXPECT_DEATH(engine().shutdownWrite(listener_), "a listener is never shut down");
}

TEST_F(SimChecksTest, Start_afterCancelAll_isCaught) {
  const auto start = [&] {
    engine().cancelAll(socket_);
    settle();
    engine().poll(other_.context, socket_, 0);
  };
  EXPECT_DEATH(start(), "after cancelAll");
}

TEST_F(SimChecksTest, Handle_usedAfterClose_isCaught) {
  const SocketHandle closed = engine().socket(AF_INET);
  engine().close(closed);
  const SocketHandle next = engine().socket(AF_INET);
  EXPECT_NE(closed, next) << "a number that came back would hide the mistake";
  EXPECT_DEATH(engine().close(closed), "not open");
  EXPECT_DEATH(engine().receive(other_.context, closed), "not open");
  EXPECT_DEATH(engine().poll(other_.context, SocketHandle(), 0), "not open");
  engine().close(next);
}

TEST_F(SimChecksTest, Socket_usedByTwoEngines_isCaught) {
  const auto second = network().makeProactor("second");
  EXPECT_DEATH(second->poll(other_.context, socket_, 0), "one engine at a time");
}

TEST_F(SimChecksTest, Run_fromAHandler_isCaught) {
  receive_.onResult = [&](const IoResult&) { engine().run(kNoWait); };
  client_->send("x");
  EXPECT_DEATH(settle(), "run was called from a handler");
  receive_.onResult = nullptr;
}

TEST_F(SimChecksTest, Run_waitsForEver_isCaught) {
  EXPECT_DEATH(engine().run(kForever), "a loop waits for ever");
}

TEST_F(SimChecksTest, Run_againAndAgainAtOneInstant_isCaught) {
  EXPECT_DEATH(
      {
        for (;;) engine().run(kNoWait);
      },
      "something spins");
}

TEST_F(SimChecksTest, Loop_spins_isCaught) {
  const auto spinning = network().makeProactor("spinning");
  EXPECT_DEATH(
      {
        network().addLoop(*spinning, [&] { spinning->run(kNoWait); });
        settle();
      },
      "something spins");
}

TEST_F(SimChecksTest, Loop_ofAnotherEngineOrTwice_isCaught) {
  ProactorOptions options;
  options.engine = Engine::Epoll;
  const auto kernel = makeProactor(options);
  EXPECT_DEATH(network().addLoop(*kernel, [] {}), "simulated engines only");
  EXPECT_DEATH(network().addLoop(engine(), [] {}), "stepped by one loop");
}

TEST_F(SimChecksTest, Engine_destroyedWithOperationInFlight_isCaught) {
  EXPECT_DEATH(destroyEngine(), "destroyed with operations in flight");
}

TEST_F(SimChecksTest, Context_destroyedInFlight_isCaught) {
  const auto destroy = [&] {
    SimRecorder lost;
    engine().poll(lost.context, socket_, 0);
  };
  EXPECT_DEATH(destroy(), "destroyed while its operation was in flight");
}

TEST(SimNetworkChecksTest, Network_destroyedBeforeItsEngineOrClient_isCaught) {
  auto network = std::make_unique<SimNetwork>();
  auto engine = network->makeProactor("engine");
  EXPECT_DEATH(network.reset(), "before its engines");
  engine.reset();
  auto client = std::make_unique<SimClient>(*network, "client");
  EXPECT_DEATH(network.reset(), "before its clients");
  client.reset();
}

TEST(SimNetworkChecksTest, Engine_usedOnAnotherThread_isCaught) {
  SimNetwork network;
  const auto engine = network.makeProactor("engine");
  EXPECT_DEATH(std::thread([&] { engine->run(kNoWait); }).join(), "the thread that made it");
}

// --- Loops

TEST_F(SimChecksTest, Server_withThreads_onASimulatedLoop_isRefusedWithTheRemedy) {
  EventLoop loop(network().makeProactor("loop"));
  TcpServer server(&loop, InetAddress("127.0.0.1:0"), "server");
  server.setThreadNum(2);
  EXPECT_DEATH(server.start(),
               "use setThreadNum\\(0\\), or give loops of the same kind by setLoops");
}

TEST_F(SimChecksTest, Server_withLoopsOfAnotherNetwork_isRefused) {
  SimNetwork other({.seed = 2});
  EventLoop loop(network().makeProactor("loop"));
  EventLoop near(network().makeProactor("near"));
  EventLoop far(other.makeProactor("far"));
  EXPECT_TRUE(loop.sharesSocketsWith(near));
  TcpServer server(&loop, InetAddress("127.0.0.1:0"), "server");
  server.setLoops({&near, &far});
  EXPECT_DEATH(server.start(), "another engine than the base loop");
}

}  // namespace
}  // namespace gyre
