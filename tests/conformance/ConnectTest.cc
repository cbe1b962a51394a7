// The verb connect: one completion, when it is known how it went.
#include "support/ConformanceFixture.h"

namespace gyre {
namespace {

class ConnectConformanceTest : public ConformanceTest {};

TEST_P(ConnectConformanceTest, Connect_somebodyListens_carriesBytesBothWays) {
  ConformanceSocket near = socket();
  ConformanceOperation connect(loop());
  connect.connect(near.get(), world().acceptingAddress());
  const auto end = connect.join();
  EXPECT_EQ(end.error, 0);
  EXPECT_EQ(connect.told().size(), 1U);
  EXPECT_EQ(proactor().peerAddress(near.get()), world().acceptingAddress());
  std::unique_ptr<ConformancePeer> far;
  ASSERT_TRUE(loop().runUntil([&] { return (far = world().takeClient()) != nullptr; }));
  ConformanceOperation receive(loop());
  ConformanceOperation send(loop());
  receive.receive(near.get());
  send.send(near.get(), "request");
  EXPECT_EQ(loop().receiveAll(*far, 7), "request");
  ASSERT_TRUE(loop().sendAll(*far, "response"));
  EXPECT_TRUE(loop().runUntil([&] { return receive.data() == "response"; }));
}

TEST_P(ConnectConformanceTest, Connect_nobodyListens_isRefused) {
  ConformanceSocket near = socket();
  ConformanceOperation connect(loop());
  connect.connect(near.get(), world().refusingAddress());
  EXPECT_TRUE(connect.told().empty());
  EXPECT_EQ(connect.join().error, ECONNREFUSED);
  EXPECT_EQ(connect.told().size(), 1U);
}

// The socket of a failed connect may be used for another attempt on Linux.
TEST_P(ConnectConformanceTest, Connect_afterARefusedOne_succeeds) {
  ConformanceSocket near = socket();
  ConformanceOperation connect(loop());
  connect.connect(near.get(), world().refusingAddress());
  EXPECT_EQ(connect.join().error, ECONNREFUSED);
  connect.connect(near.get(), world().acceptingAddress());
  EXPECT_EQ(connect.join().error, 0);
}

TEST_P(ConnectConformanceTest, Connect_noRoute_endsWithAnError) {
  ConformanceSocket near = socket();
  ConformanceOperation connect(loop());
  // TCP has no broadcast, so no packet leaves this machine.
  connect.connect(near.get(), InetAddress("255.255.255.255:9"));
  EXPECT_THAT(connect.join().error, testing::AnyOf(ENETUNREACH, EACCES));
}

TEST_P(ConnectConformanceTest, Connect_nobodyAnswers_waitsUntilCancelled) {
  ConformanceSocket near = socket();
  ConformanceOperation connect(loop());
  connect.connect(near.get(), world().silentAddress());
  loop().settle();
  EXPECT_TRUE(connect.told().empty());
  loop().cancel(connect);
  EXPECT_EQ(connect.join().error, ECANCELED);
}

TEST_P(ConnectConformanceTest, Connect_nobodyAnswers_waitsUntilAllIsCancelled) {
  ConformanceSocket near = socket();
  ConformanceOperation connect(loop());
  connect.connect(near.get(), world().silentAddress());
  loop().settle();
  loop().cancelAll(near.get());
  EXPECT_EQ(connect.join().error, ECANCELED);
}

TEST_P(ConnectConformanceTest, Connect_firstWasCancelledUnderWay_aSecondCanBeStarted) {
  ConformanceSocket near = socket();
  ConformanceOperation first(loop());
  ConformanceOperation second(loop());
  first.connect(near.get(), world().silentAddress());
  loop().settle();
  loop().cancel(first);
  EXPECT_EQ(first.join().error, ECANCELED);
  second.connect(near.get(), world().silentAddress());
  loop().settle();
  // The kernel goes on with the first, which nothing but a close can stop.
  loop().cancel(second);
  EXPECT_THAT(second.join().error, testing::AnyOf(EALREADY, ECANCELED));
}

// Rule 4: whoever cancels it is not told that nothing has come of it.
TEST_P(ConnectConformanceTest, Connect_hasSucceeded_thenCancelled_endsAsConnected) {
  ConformanceSocket near = socket();
  ConformanceOperation connect(loop());
  connect.connect(near.get(), world().acceptingAddress());
  std::unique_ptr<ConformancePeer> far;
  ASSERT_TRUE(loop().runUntil([&] { return (far = world().takeClient()) != nullptr; }));
  loop().cancel(connect);
  EXPECT_EQ(connect.join().error, 0);
  EXPECT_EQ(connect.told().size(), 1U);
}

// Nothing could be waited for: there is no event for room in such a backlog.
TEST_P(ConnectConformanceTest, Connect_unixBacklogIsFull_saysSoAtOnce_andSucceedsWhenThereIsRoom) {
  const InetAddress full = world().fullUnixAddress();
  ConformanceSocket near(loop(), proactor().socket(AF_UNIX));
  ConformanceOperation connect(loop());
  for (int i = 0; i < 3; ++i) {
    connect.connect(near.get(), full);
    EXPECT_EQ(connect.join().error, EAGAIN);
  }
  world().takeFromFullUnix();
  connect.connect(near.get(), full);
  EXPECT_EQ(connect.join().error, 0);
}

TEST_P(ConnectConformanceTest, Connect_unixBacklogIsFull_cancelledAtOnce_endsAllTheSame) {
  ConformanceSocket near(loop(), proactor().socket(AF_UNIX));
  ConformanceOperation connect(loop());
  connect.connect(near.get(), world().fullUnixAddress());
  loop().cancel(connect);
  EXPECT_THAT(connect.join().error, testing::AnyOf(EAGAIN, ECANCELED));
  EXPECT_EQ(connect.told().size(), 1U);
}

TEST_P(ConnectConformanceTest, Connect_many_allSucceed) {
  std::vector<ConformanceSocket> sockets;
  std::vector<std::unique_ptr<ConformanceOperation>> connects;
  for (int i = 0; i < 100; ++i) {
    sockets.push_back(socket());
    connects.push_back(std::make_unique<ConformanceOperation>(loop()));
    connects.back()->connect(sockets.back().get(), world().acceptingAddress());
  }
  for (auto& connect : connects) EXPECT_EQ(connect->join().error, 0);
  std::vector<std::unique_ptr<ConformancePeer>> clients;
  while (auto client = world().takeClient()) clients.push_back(std::move(client));
  EXPECT_EQ(clients.size(), 100U);
}

INSTANTIATE_TEST_SUITE_P(Engines, ConnectConformanceTest, testing::ValuesIn(conformanceEngines()),
                         conformanceEngineName);

}  // namespace
}  // namespace gyre
