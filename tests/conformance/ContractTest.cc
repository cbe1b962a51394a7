// The rules that hold for every verb: where handlers run, what a context is good for, and which
// broken promises end the process.
#include <poll.h>

#include <array>

#include "support/ConformanceFixture.h"

namespace gyre {
namespace {

class ContractConformanceTest : public ConformanceTest {
 protected:
  std::array<char, 64> buffer_{};
};

class ContractConformanceDeathTest : public ConformanceTest {};

class CostConformanceTest : public ConformanceTest {};

// ConformanceLoop fails the test when a handler runs inside a verb; here every result is known as
// soon as the verb is called.
TEST_P(ContractConformanceTest, Verbs_resultIsKnownAtOnce_noHandlerRunsBeforeRun) {
  Link readable = link();
  Link ended = link();
  ConformanceSocket listener = listen();
  ConformanceSocket refused = socket();
  ASSERT_TRUE(loop().sendAll(*readable.far, "data"));
  ended.far->close();
  const auto client = world().connectTo(proactor().localAddress(listener.get()));
  std::vector<std::unique_ptr<ConformanceOperation>> all;
  for (int i = 0; i < 7; ++i) all.push_back(std::make_unique<ConformanceOperation>(loop()));
  all[0]->accept(listener.get());
  all[1]->receive(readable.near.get());
  all[2]->receiveInto(ended.near.get(), buffer_);
  all[3]->send(readable.near.get(), "x");
  all[4]->connect(refused.get(), world().refusingAddress());
  all[5]->poll(readable.near.get(), POLLOUT);
  all[6]->poll(ended.near.get(), POLLIN);
  for (const auto& operation : all) EXPECT_TRUE(operation->told().empty());
  EXPECT_EQ(proactor().operationsInFlight(), all.size());
  ASSERT_TRUE(loop().runUntil([&] {
    for (const auto& operation : all) {
      if (operation->told().empty()) return false;
    }
    return true;
  }));
  proactor().close(all[0]->told().front().socket);
}

// run() comes back as soon as something was told, also when it was known from the start: whoever
// was told must be able to do more before the loop sleeps.
TEST_P(ContractConformanceTest, Run_somethingCompletesAtOnce_returns) {
  Link pair = link();
  ConformanceOperation send(loop());
  for (int i = 0; i < 20; ++i) {
    send.send(pair.near.get(), "x");
    const TimePoint deadline = proactor().now() + std::chrono::seconds(10);
    loop().run(deadline);
    EXPECT_FALSE(send.isInFlight());
    ASSERT_LT(proactor().now(), deadline);
  }
}

TEST_P(ContractConformanceTest, Run_handlerStartsMore_isDoneByTheNextRun) {
  Link pair = link();
  ConformanceOperation receive(loop());
  ConformanceOperation send(loop());
  receive.onCompletion = [&](const IoResult& result) {
    if (result.more) send.send(pair.near.get(), "reply");
  };
  receive.receive(pair.near.get());
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(pair.far->sendSome("request"), 7U);
    const TimePoint deadline = proactor().now() + std::chrono::seconds(10);
    while (send.told().size() <= static_cast<std::size_t>(i) && proactor().now() < deadline) {
      loop().run(deadline);
    }
    ASSERT_LT(proactor().now(), deadline);
    EXPECT_EQ(loop().receiveAll(*pair.far, 5), "reply");
  }
}

// The steady path: what an echo may cost. Waiting twice for one message would be waste.
TEST_P(CostConformanceTest, Run_steadyEcho_entersTheKernelOncePerMessage) {
  constexpr std::size_t kMessages = 200;
  Link pair = link();
  ConformanceOperation receive(loop());
  ConformanceOperation send(loop());
  receive.onCompletion = [&](const IoResult& result) {
    if (result.more) send.send(pair.near.get(), "pong");
  };
  receive.receive(pair.near.get());
  loop().settle();
  const std::uint64_t before = loop().counters().enters.get();
  for (std::size_t i = 1; i <= kMessages; ++i) {
    ASSERT_EQ(pair.far->sendSome("ping"), 4U);
    while (send.told().size() < i) loop().run(proactor().now() + std::chrono::seconds(10));
    ASSERT_EQ(loop().receiveAll(*pair.far, 4), "pong");
  }
  // A ring submits with one call and is told by the next.
  EXPECT_LE(loop().counters().enters.get() - before, 2 * kMessages + 2);
  EXPECT_EQ(loop().counters().rearms.get(), 0U);
}

TEST_P(ContractConformanceTest, Counters_everyKind_areWhatHandlersSaw) {
  Link pair = link();
  ConformanceOperation receive(loop());
  ConformanceOperation send(loop());
  receive.receive(pair.near.get());
  send.send(pair.near.get(), "four");
  send.join();
  ASSERT_TRUE(loop().sendAll(*pair.far, "sixsix"));
  pair.far->halfClose();
  receive.join();
  const LoopCounters& counters = loop().counters();
  EXPECT_EQ(counters.completed(IoKind::Send).get(), 1U);
  EXPECT_EQ(counters.completed(IoKind::Receive).get(), receive.told().size());
  EXPECT_EQ(counters.bytesSent.get(), 4U);
  EXPECT_EQ(counters.bytesReceived.get(), 6U);
  EXPECT_GE(counters.submissions.get(), 2U);
  EXPECT_GE(counters.enters.get(), 1U);
}

TEST_P(ContractConformanceTest, Close_numberIsReusedAtOnce_theNewSocketIsItsOwn) {
  std::string far;
  for (int round = 0; round < 50; ++round) {
    Link old = link();
    const SocketHandle number = old.near.get();
    {
      ConformanceOperation receive(loop());
      receive.receive(number);
      ASSERT_TRUE(loop().sendAll(*old.far, "old"));
      if (round % 2 == 0) loop().run(kNoWait);
      loop().cancel(receive);
      receive.join();
    }
    old.far->close();
    old.near.close();
    Link fresh = link();
    ConformanceOperation receive(loop());
    receive.receive(fresh.near.get());
    loop().settle();
    ASSERT_TRUE(receive.told().empty()) << "it heard of the old socket";
    ASSERT_TRUE(loop().sendAll(*fresh.far, "new"));
    ASSERT_TRUE(loop().runUntil([&] { return !receive.data().empty(); }));
    EXPECT_EQ(receive.data(), "new");
  }
}

// Events of one batch: the first handler closes the other socket and opens a new one, which gets
// the number whose event is still to come.
TEST_P(ContractConformanceTest, Close_inAHandlerOfTheSameBatch_itsEventIsDropped) {
  Link first = link();
  Link second = link();
  std::unique_ptr<Link> fresh;
  ConformanceOperation trigger(loop());
  ConformanceOperation victim(loop());
  ConformanceOperation late(loop());
  trigger.receive(first.near.get());
  loop().settle();
  // Known to the engine, with nothing in flight.
  victim.poll(second.near.get(), POLLIN);
  loop().settle();
  loop().cancel(victim);
  victim.join();
  trigger.onCompletion = [&](const IoResult& result) {
    if (!result.more) return;
    second.near.close();
    fresh = std::make_unique<Link>(link());
    late.receive(fresh->near.get());
  };
  ASSERT_EQ(first.far->sendSome("go"), 2U);
  ASSERT_EQ(second.far->sendSome("for nobody"), 10U);
  ASSERT_TRUE(loop().runUntil([&] { return fresh != nullptr; }));
  loop().settle();
  EXPECT_TRUE(late.told().empty());
  ASSERT_TRUE(loop().sendAll(*fresh->far, "for you"));
  EXPECT_TRUE(loop().runUntil([&] { return late.data() == "for you"; }));
  loop().cancel(late);
  late.join();
  fresh.reset();
}

// --- Broken promises

TEST_P(ContractConformanceDeathTest, Destructor_operationInFlight_isCaught) {
  EXPECT_DEATH(
      {
        auto own = world().makeProactor();
        const SocketHandle listener = own->listen(InetAddress::loopback(0), {});
        IoContext accept([](IoContext&, const IoResult&) noexcept {});
        own->accept(accept, listener);
        own.reset();
      },
      "destroyed with operations in flight");
}

TEST_P(ContractConformanceDeathTest, Context_destroyedInFlight_isCaught) {
  EXPECT_DEATH(
      {
        ConformanceSocket listener = listen();
        IoContext accept([](IoContext&, const IoResult&) noexcept {});
        proactor().accept(accept, listener.get());
      },
      "IoContext was destroyed while its operation was in flight");
}

TEST_P(ContractConformanceDeathTest, Context_startedInFlight_isCaught) {
  EXPECT_DEATH(
      {
        Link pair = link();
        ConformanceOperation operation(loop());
        operation.receive(pair.near.get());
        operation.receive(pair.near.get());
      },
      "started on an IoContext that is in flight");
}

TEST_P(ContractConformanceDeathTest, Close_operationInFlight_isCaught) {
  EXPECT_DEATH(
      {
        Link pair = link();
        ConformanceOperation operation(loop());
        operation.receive(pair.near.get());
        pair.near.close();
      },
      "closed with an operation in flight");
}

TEST_P(ContractConformanceDeathTest, Send_secondOnOneSocket_isCaught) {
  EXPECT_DEATH(
      {
        Link pair = link();
        ConformanceOperation first(loop());
        ConformanceOperation second(loop());
        first.send(pair.near.get(), "one");
        second.send(pair.near.get(), "two");
      },
      "a second send");
}

TEST_P(ContractConformanceDeathTest, Send_slicesBeyondTheLimit_isCaught) {
  const std::vector<IoSlice> slices(kSendSlicesMax + 1, IoSlice{"x", 1});
  EXPECT_DEATH(
      {
        Link pair = link();
        ConformanceOperation send(loop());
        send.send(pair.near.get(), slices);
      },
      "send takes 1 to 32 slices");
}

TEST_P(ContractConformanceDeathTest, ShutdownWrite_sendInFlight_isCaught) {
  EXPECT_DEATH(
      {
        Link pair = link();
        ConformanceOperation send(loop());
        send.send(pair.near.get(), "one");
        proactor().shutdownWrite(pair.near.get());
      },
      "shutdownWrite with a send in flight");
}

TEST_P(ContractConformanceDeathTest, TrySend_sendInFlight_isCaught) {
  EXPECT_DEATH(
      {
        Link pair = link();
        ConformanceOperation send(loop());
        send.send(pair.near.get(), "one");
        proactor().trySend(pair.near.get(), "two");
      },
      "trySend with a send in flight");
}

TEST_P(ContractConformanceDeathTest, Verb_afterCancelAll_isCaught) {
  EXPECT_DEATH(
      {
        Link pair = link();
        ConformanceOperation operation(loop());
        operation.receive(pair.near.get());
        loop().cancelAll(pair.near.get());
        operation.join();
        operation.receive(pair.near.get());
      },
      "after cancelAll");
}

TEST_P(ContractConformanceDeathTest, Verb_handleNeverOpened_isCaught) {
  EXPECT_DEATH(
      {
        ConformanceOperation operation(loop());
        operation.receive(SocketHandle());
      },
      "not open");
}

TEST_P(ContractConformanceDeathTest, Run_insideAHandler_isCaught) {
  EXPECT_DEATH(
      {
        Link pair = link();
        ConformanceOperation send(loop());
        send.onCompletion = [&](const IoResult&) { proactor().run(kNoWait); };
        send.send(pair.near.get(), "x");
        loop().runUntil([] { return false; });
      },
      "called from a handler");
}

INSTANTIATE_TEST_SUITE_P(Engines, ContractConformanceTest, testing::ValuesIn(conformanceEngines()),
                         conformanceEngineName);
INSTANTIATE_TEST_SUITE_P(Engines, CostConformanceTest,
                         testing::ValuesIn(undisturbedConformanceEngines()), conformanceEngineName);
INSTANTIATE_TEST_SUITE_P(Engines, ContractConformanceDeathTest,
                         testing::ValuesIn(conformanceEngines()), conformanceEngineName);

}  // namespace
}  // namespace gyre
