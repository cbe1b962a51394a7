// The verb accept: a stream of connections.
#include <set>

#include "support/ConformanceFixture.h"

namespace gyre {
namespace {

class AcceptConformanceTest : public ConformanceTest {
 protected:
  InetAddress addressOf(const ConformanceSocket& listener) {
    return proactor().localAddress(listener.get());
  }
  // Keeps what is accepted, until the test ends.
  void keep(ConformanceOperation& accept, ConformanceLoop& loop) {
    accept.onCompletion = [this, &loop](const IoResult& result) {
      if (result.more) taken_.emplace_back(loop, result.socket);
    };
  }
  void TearDown() override {
    taken_.clear();
    ConformanceTest::TearDown();
  }

  std::vector<ConformanceSocket> taken_;
};

TEST_P(AcceptConformanceTest, Accept_clientsConnect_isOneCompletionEach) {
  ConformanceSocket listener = listen();
  ConformanceOperation accept(loop());
  keep(accept, loop());
  accept.accept(listener.get());
  std::vector<std::unique_ptr<ConformancePeer>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(world().connectTo(addressOf(listener)));
    if (i % 50 == 49) loop().run(kNoWait);
  }
  ASSERT_TRUE(loop().runUntil([&] { return taken_.size() == clients.size(); }));
  std::set<std::int32_t> handles;
  for (const ConformanceSocket& socket : taken_) handles.insert(socket.get().value());
  EXPECT_EQ(handles.size(), clients.size());
  EXPECT_TRUE(accept.isInFlight());
  EXPECT_EQ(loop().counters().accepts.get(), clients.size());
}

TEST_P(AcceptConformanceTest, Accept_moreThanAQueueHolds_getsThemAll) {
  constexpr std::size_t kClients = 1000;
  ConformanceSocket listener = listen();
  std::vector<std::unique_ptr<ConformancePeer>> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(world().connectTo(addressOf(listener)));
  }
  ConformanceOperation accept(loop());
  keep(accept, loop());
  accept.accept(listener.get());
  EXPECT_TRUE(loop().runUntil([&] { return taken_.size() == kClients; })) << taken_.size();
}

TEST_P(AcceptConformanceTest, Accept_theConnection_carriesBytesBothWays) {
  ConformanceSocket listener = listen();
  ConformanceOperation accept(loop());
  keep(accept, loop());
  accept.accept(listener.get());
  const auto client = world().connectTo(addressOf(listener));
  ASSERT_TRUE(loop().runUntil([&] { return !taken_.empty(); }));
  const SocketHandle socket = taken_.front().get();
  EXPECT_EQ(proactor().localAddress(socket), addressOf(listener));
  EXPECT_TRUE(proactor().peerAddress(socket).isLoopback());
  ConformanceOperation receive(loop());
  ConformanceOperation send(loop());
  receive.receive(socket);
  send.send(socket, "welcome");
  EXPECT_EQ(loop().receiveAll(*client, 7), "welcome");
  ASSERT_TRUE(loop().sendAll(*client, "thanks"));
  EXPECT_TRUE(loop().runUntil([&] { return receive.data() == "thanks"; }));
}

TEST_P(AcceptConformanceTest, Accept_theConnection_canBeUsedWithAnotherEngine) {
  ConformanceLoop other(world().makeProactor());
  ConformanceSocket listener = listen();
  ConformanceOperation accept(loop());
  keep(accept, other);
  accept.accept(listener.get());
  const auto client = world().connectTo(addressOf(listener));
  ASSERT_TRUE(loop().runUntil([&] { return !taken_.empty(); }));
  {
    ConformanceOperation receive(other);
    receive.receive(taken_.front().get());
    ASSERT_TRUE(other.sendAll(*client, "over there"));
    EXPECT_TRUE(other.runUntil([&] { return receive.data() == "over there"; }));
  }
  taken_.clear();
}

TEST_P(AcceptConformanceTest, Accept_cancelled_endsAndKeepsWhatWasAccepted) {
  ConformanceSocket listener = listen();
  ConformanceOperation accept(loop());
  keep(accept, loop());
  accept.accept(listener.get());
  std::vector<std::unique_ptr<ConformancePeer>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(world().connectTo(addressOf(listener)));
  loop().cancel(accept);
  EXPECT_EQ(accept.join().error, ECANCELED);
  const std::size_t before = taken_.size();
  EXPECT_EQ(accept.told().size(), before + 1);
  // The others wait in the backlog: nobody was lost.
  ConformanceOperation again(loop());
  keep(again, loop());
  again.accept(listener.get());
  EXPECT_TRUE(loop().runUntil([&] { return taken_.size() == clients.size(); })) << taken_.size();
}

TEST_P(AcceptConformanceTest, Accept_cancelledAndAnotherStartedAtOnce_theListenerGoesOn) {
  ConformanceSocket listener = listen();
  ConformanceOperation first(loop());
  ConformanceOperation second(loop());
  keep(first, loop());
  keep(second, loop());
  first.accept(listener.get());
  loop().settle();
  loop().cancel(first);
  second.accept(listener.get());
  const auto client = world().connectTo(addressOf(listener));
  EXPECT_EQ(first.join().error, ECANCELED);
  EXPECT_TRUE(loop().runUntil([&] { return taken_.size() == 1; }));
  EXPECT_TRUE(second.isInFlight());
}

TEST_P(AcceptConformanceTest, Accept_twoAtOnce_shareTheClients) {
  ConformanceSocket listener = listen();
  ConformanceOperation first(loop());
  ConformanceOperation second(loop());
  keep(first, loop());
  keep(second, loop());
  first.accept(listener.get());
  second.accept(listener.get());
  std::vector<std::unique_ptr<ConformancePeer>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(world().connectTo(addressOf(listener)));
  EXPECT_TRUE(loop().runUntil([&] { return taken_.size() == clients.size(); }));
  loop().cancel(first);
  loop().cancel(second);
  EXPECT_EQ(first.join().error, ECANCELED);
  EXPECT_EQ(second.join().error, ECANCELED);
}

TEST_P(AcceptConformanceTest, Accept_cancelledInItsHandler_isToldNothingMoreButTheEnd) {
  ConformanceSocket listener = listen();
  std::vector<std::unique_ptr<ConformancePeer>> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(world().connectTo(addressOf(listener)));
  ConformanceOperation accept(loop());
  accept.onCompletion = [&](const IoResult& result) {
    if (!result.more) return;
    taken_.emplace_back(loop(), result.socket);
    loop().cancel(accept);
  };
  accept.accept(listener.get());
  EXPECT_EQ(accept.join().error, ECANCELED);
  EXPECT_GE(taken_.size(), 1U);
}

TEST_P(AcceptConformanceTest, Accept_clientResetWhileItWaited_theListenerGoesOn) {
  ConformanceSocket listener = listen();
  for (int i = 0; i < 5; ++i) world().connectTo(addressOf(listener))->reset();
  const auto client = world().connectTo(addressOf(listener));
  ConformanceOperation accept(loop());
  ConformanceOperation send(loop());
  keep(accept, loop());
  accept.accept(listener.get());
  // Linux hands the dead ones out, others may not; the last one is alive everywhere.
  ASSERT_TRUE(
      loop().runUntil([&] { return taken_.size() + loop().counters().acceptsAborted.get() == 6; }));
  send.send(taken_.back().get(), "hello");
  EXPECT_EQ(loop().receiveAll(*client, 5), "hello");
}

TEST_P(AcceptConformanceTest, Listen_addressInUse_throwsNamingAddressAndCure) {
  ConformanceSocket listener = listen();
  const InetAddress address = addressOf(listener);
  try {
    proactor().listen(address, {});
    ADD_FAILURE() << "the address is in use";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EADDRINUSE);
    EXPECT_THAT(error.what(), testing::HasSubstr(address.toString()));
    EXPECT_THAT(error.what(), testing::HasSubstr("choose another port"));
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, AcceptConformanceTest, testing::ValuesIn(conformanceEngines()),
                         conformanceEngineName);

}  // namespace
}  // namespace gyre
