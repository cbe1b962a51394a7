#include <system_error>

#include "sim/SimFixture.h"

namespace gyre {
namespace {

class SimConnectTest : public SimFixture {
 protected:
  SimConnectTest() : socket_(engine().socket(AF_INET)) {}
  void TearDown() override {
    engine().close(socket_);
    SimFixture::TearDown();
  }
  void restart(const SimOptions& options) {
    engine().close(socket_);
    rebuild(options);
    socket_ = engine().socket(AF_INET);
  }
  // The error of connecting there.
  int connectTo(const InetAddress& address) {
    SimRecorder connect;
    engine().connect(connect.context, socket_, address);
    EXPECT_TRUE(runUntilEnd(connect));
    EXPECT_EQ(connect.told.size(), 1u);
    return connect.error();
  }

  SocketHandle socket_;
};

TEST_F(SimConnectTest, Connect_somebodyListens_bytesPassBothWays) {
  listen();
  SimRecorder accept;
  engine().accept(accept.context, listener_);
  EXPECT_EQ(connectTo(address_), 0);
  EXPECT_EQ(engine().peerAddress(socket_), address_);
  ASSERT_TRUE(runUntil([&] { return !accept.told.empty(); }));
  const SocketHandle accepted = accept.told.front().socket;
  EXPECT_EQ(engine().peerAddress(accepted), engine().localAddress(socket_));

  SimRecorder receive;
  SimRecorder send;
  engine().receive(receive.context, accepted);
  SimFixture::send(send, socket_, "hello");
  ASSERT_TRUE(runUntil([&] { return receive.data == "hello"; }));
  engine().cancel(receive.context);
  engine().cancel(accept.context);
  ASSERT_TRUE(runUntilEnd(receive) && runUntilEnd(accept));
  engine().close(accepted);
}

TEST_F(SimConnectTest, Connect_nobodyListens_isRefused) {
  EXPECT_EQ(connectTo(InetAddress("127.0.0.1:1")), ECONNREFUSED);
}

TEST_F(SimConnectTest, Connect_timesOut_afterVirtualTimeOnly) {
  SimOptions options;
  options.faults[SimFault::ConnectTimedOut] = 1;
  restart(options);
  const TimePoint begin = network().now();
  EXPECT_EQ(connectTo(InetAddress("127.0.0.1:1")), ETIMEDOUT);
  EXPECT_GE(network().now() - begin, 1s);
  EXPECT_EQ(network().statistics()[SimFault::ConnectTimedOut], 1u);
}

TEST_F(SimConnectTest, Connect_unreachable_saysSo) {
  SimOptions options;
  options.faults[SimFault::ConnectUnreachable] = 1;
  restart(options);
  EXPECT_THAT(connectTo(InetAddress("127.0.0.1:1")), testing::AnyOf(ENETUNREACH, EHOSTUNREACH));
}

TEST_F(SimConnectTest, Connect_backlogFull_isTriedAgainUntilItTimesOut) {
  listen({.backlog = 1});
  SimClient first(network(), "first");
  first.connect(address_);
  ASSERT_TRUE(runUntil([&] { return first.isConnected(); }));
  const TimePoint begin = network().now();
  EXPECT_EQ(connectTo(address_), ETIMEDOUT);
  EXPECT_GE(network().now() - begin, 60s);
}

TEST_F(SimConnectTest, Connect_cancelled_endsAndNothingIsAccepted) {
  listen();
  SimRecorder connect;
  engine().connect(connect.context, socket_, address_);
  engine().cancel(connect.context);
  ASSERT_TRUE(runUntilEnd(connect));
  EXPECT_EQ(connect.error(), ECANCELED);
  engine().close(socket_);
  SimRecorder accept;
  engine().accept(accept.context, listener_);
  settle();
  EXPECT_TRUE(accept.told.empty());
  engine().cancel(accept.context);
  ASSERT_TRUE(runUntilEnd(accept));
  socket_ = engine().socket(AF_INET);
}

TEST_F(SimConnectTest, Accept_descriptorsExhausted_pausesUntilOneIsClosed) {
  restart({.descriptorsMax = 3});  // the listener, our socket, one client
  listen();
  SimRecorder accept;
  engine().accept(accept.context, listener_);
  SimClient first(network(), "first");
  SimClient second(network(), "second");
  first.connect(address_);
  second.connect(address_);
  settle();
  ASSERT_EQ(accept.told.size(), 1u);
  EXPECT_EQ(engine().counters().acceptsNoDescriptors.get(), 1u) << "nothing spins meanwhile";
  EXPECT_EQ(engine().socket(AF_INET).error(), EMFILE);
  EXPECT_TRUE(second.isConnected()) << "it waits in the backlog";

  engine().close(accept.told.front().socket);
  ASSERT_TRUE(runUntil([&] { return accept.told.size() == 2; }));
  EXPECT_TRUE(accept.context.isInFlight());
  engine().cancel(accept.context);
  ASSERT_TRUE(runUntilEnd(accept));
  engine().close(accept.told[1].socket);
}

TEST_F(SimConnectTest, Accept_noListener_endsWithEINVAL) {
  SimRecorder accept;
  engine().accept(accept.context, socket_);
  ASSERT_TRUE(runUntilEnd(accept));
  EXPECT_EQ(accept.error(), EINVAL);
}

TEST_F(SimConnectTest, Close_listenerWithBacklog_resetsThoseNobodyAccepted) {
  listen();
  SimClient client(network(), "client");
  client.connect(address_);
  ASSERT_TRUE(runUntil([&] { return client.isConnected(); }));
  engine().close(listener_);
  listener_ = SocketHandle();
  ASSERT_TRUE(runUntil([&] { return client.wasReset(); }));
  EXPECT_EQ(connectTo(address_), ECONNREFUSED);
}

TEST_F(SimConnectTest, Listen_addressInUse_throwsWithCauseAndCure) {
  listen();
  try {
    engine().listen(address_, {});
    FAIL() << "it listens twice";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EADDRINUSE);
    EXPECT_THAT(error.what(), testing::HasSubstr(address_.toString()));
    EXPECT_THAT(error.what(), testing::HasSubstr("close it, or choose another port"));
  }
}

TEST_F(SimConnectTest, Listen_reusePort_dealsClientsToAllListeners) {
  const ListenOptions shared{.reusePort = true};
  listen(shared);
  const SocketHandle other = engine().listen(address_, shared);
  std::array<SimRecorder, 2> accepts;
  engine().accept(accepts[0].context, listener_);
  engine().accept(accepts[1].context, other);
  std::vector<std::unique_ptr<SimClient>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<SimClient>(network(), "client"));
    clients.back()->connect(address_);
  }
  settle();
  EXPECT_EQ(accepts[0].told.size() + accepts[1].told.size(), 40u);
  EXPECT_GT(accepts[0].told.size(), 0u);
  EXPECT_GT(accepts[1].told.size(), 0u);
  for (SimRecorder& accept : accepts) {
    for (const IoResult& result : accept.told) engine().close(result.socket);
    engine().cancel(accept.context);
    ASSERT_TRUE(runUntilEnd(accept));
  }
  engine().close(other);
}

TEST_F(SimConnectTest, Listen_anyAddress_takesClientsOfEveryOne) {
  const SocketHandle any = engine().listen(InetAddress::anyV6(7007), {});
  SimClient four(network(), "four");
  SimClient six(network(), "six");
  four.connect(InetAddress("127.0.0.1:7007"));
  six.connect(InetAddress("[::1]:7007"));
  EXPECT_TRUE(runUntil([&] { return four.isConnected() && six.isConnected(); }));
  engine().close(any);
}

}  // namespace
}  // namespace gyre
