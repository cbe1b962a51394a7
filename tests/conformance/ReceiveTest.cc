// The verb receive: a stream of lent bytes.
#include "support/ConformanceFixture.h"

namespace gyre {
namespace {

using testing::Each;
using testing::Field;

class ReceiveConformanceTest : public ConformanceTest {};

TEST_P(ReceiveConformanceTest, Receive_peerSends_deliversTheBytesInOrder) {
  const std::string sent = patternBytes(1'000'000);
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  ASSERT_TRUE(loop().sendAll(*pair.far, sent));
  ASSERT_TRUE(loop().runUntil([&] { return receive.data().size() >= sent.size(); }));
  EXPECT_EQ(receive.data(), sent);
  EXPECT_TRUE(receive.isInFlight());
  EXPECT_THAT(receive.told(), Each(Field(&ConformanceOperation::Completion::more, true)));
  EXPECT_EQ(loop().counters().bytesReceived.get(), sent.size());
}

TEST_P(ReceiveConformanceTest, Receive_dataWaitsAlready_isDelivered) {
  Link pair = link();
  ASSERT_TRUE(loop().sendAll(*pair.far, "early"));
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  EXPECT_TRUE(receive.told().empty());
  ASSERT_TRUE(loop().runUntil([&] { return !receive.told().empty(); }));
  EXPECT_EQ(receive.data(), "early");
}

TEST_P(ReceiveConformanceTest, Receive_oneMessageAtATime_isOneCompletionEach) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  for (std::size_t i = 1; i <= 50; ++i) {
    ASSERT_EQ(pair.far->sendSome("ping"), 4U);
    ASSERT_TRUE(loop().runUntil([&] { return receive.data().size() == 4 * i; }));
    EXPECT_EQ(receive.told().size(), i);
  }
}

TEST_P(ReceiveConformanceTest, Receive_endOfStream_endsWithoutError) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  loop().settle();
  pair.far->halfClose();
  EXPECT_EQ(receive.join().error, 0);
  EXPECT_EQ(receive.told().size(), 1U);
}

TEST_P(ReceiveConformanceTest, Receive_endOfStreamBehindData_deliversTheDataFirst) {
  const std::string sent = patternBytes(100'000);
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  ASSERT_TRUE(loop().sendAll(*pair.far, sent));
  pair.far->close();
  EXPECT_EQ(receive.join().error, 0);
  EXPECT_EQ(receive.data(), sent);
}

TEST_P(ReceiveConformanceTest, Receive_everythingBeforeTheStart_deliversDataAndEnd) {
  Link pair = link();
  ASSERT_TRUE(loop().sendAll(*pair.far, "last words"));
  pair.far->halfClose();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  EXPECT_EQ(receive.join().error, 0);
  EXPECT_EQ(receive.data(), "last words");
}

TEST_P(ReceiveConformanceTest, Receive_afterTheEnd_endsAgain) {
  Link pair = link();
  pair.far->halfClose();
  ConformanceOperation receive(loop());
  for (int i = 0; i < 2; ++i) {
    receive.receive(pair.near.get());
    EXPECT_EQ(receive.join().error, 0);
  }
  EXPECT_EQ(receive.told().size(), 2U);
}

TEST_P(ReceiveConformanceTest, Receive_peerResets_endsWithConnectionReset) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  ASSERT_TRUE(loop().sendAll(*pair.far, "abc"));
  ASSERT_TRUE(loop().runUntil([&] { return receive.data() == "abc"; }));
  pair.far->reset();
  EXPECT_EQ(receive.join().error, ECONNRESET);
}

TEST_P(ReceiveConformanceTest, Receive_peerWasResetBefore_endsWithConnectionReset) {
  Link pair = link();
  pair.far->reset();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  EXPECT_EQ(receive.join().error, ECONNRESET);
}

TEST_P(ReceiveConformanceTest, Receive_shutdownBoth_ends) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  loop().settle();
  EXPECT_EQ(proactor().shutdownBoth(pair.near.get()), 0);
  EXPECT_EQ(receive.join().error, 0);
}

TEST_P(ReceiveConformanceTest, Receive_shutdownWrite_goesOn) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  EXPECT_EQ(proactor().shutdownWrite(pair.near.get()), 0);
  EXPECT_EQ(loop().receiveToEnd(*pair.far), "");
  EXPECT_TRUE(pair.far->hasEnded());
  ASSERT_TRUE(loop().sendAll(*pair.far, "still here"));
  ASSERT_TRUE(loop().runUntil([&] { return receive.data() == "still here"; }));
  EXPECT_TRUE(receive.isInFlight());
}

// What arrives around a cancel is delivered before the end, or is left for the next receive.
TEST_P(ReceiveConformanceTest, Receive_cancelledAndStartedAgain_losesAndReordersNothing) {
  const std::string sent = patternBytes(300'000);
  std::string_view unsent = sent;
  std::string got;
  Link pair = link();
  ConformanceOperation receive(loop());
  for (int round = 0; got.size() < sent.size() && round < 100'000; ++round) {
    receive.receive(pair.near.get());
    unsent.remove_prefix(pair.far->sendSome(unsent.substr(0, 7000)));
    if (round % 3 != 0) loop().run(kNoWait);
    loop().cancel(receive);
    EXPECT_EQ(receive.join().error, ECANCELED);
    got = receive.data();
    ASSERT_EQ(got, sent.substr(0, got.size()));
  }
  EXPECT_EQ(got, sent);
}

TEST_P(ReceiveConformanceTest, Receive_cancelledInItsHandler_isToldNothingMoreButTheEnd) {
  Link pair = link();
  ASSERT_TRUE(loop().sendAll(*pair.far, patternBytes(60'000)));
  ConformanceOperation receive(loop());
  receive.onCompletion = [&](const IoResult& result) {
    if (result.more) loop().cancel(receive);
  };
  receive.receive(pair.near.get());
  EXPECT_EQ(receive.join().error, ECANCELED);
  const std::size_t taken = receive.data().size();
  receive.onCompletion = nullptr;
  receive.receive(pair.near.get());
  ASSERT_TRUE(loop().runUntil([&] { return receive.data().size() >= 60'000; }));
  EXPECT_EQ(receive.data(), patternBytes(60'000));
  EXPECT_GT(taken, 0U);
}

TEST_P(ReceiveConformanceTest, Receive_bulkInBothDirections_isByteExact) {
  const std::string sent = patternBytes(2'000'000);
  Link pair = link();
  ConformanceOperation receive(loop());
  ConformanceOperation send(loop());
  std::string echoed;
  std::string pending;
  std::string sending;
  const auto flush = [&] {
    if (send.isInFlight() || pending.empty()) return;
    sending = std::exchange(pending, {});
    if (sending.size() > kSendBytesMax) {
      pending = sending.substr(kSendBytesMax);
      sending.resize(kSendBytesMax);
    }
    send.send(pair.near.get(), sending);
  };
  receive.onCompletion = [&](const IoResult& result) {
    if (result.more) pending.append(result.data, result.bytes);
  };
  receive.receive(pair.near.get());
  std::string_view unsent = sent;
  ASSERT_TRUE(loop().runUntil([&] {
    unsent.remove_prefix(pair.far->sendSome(unsent));
    while (pair.far->receiveSome(echoed, 65536)) {
    }
    flush();
    return echoed.size() >= sent.size();
  }));
  EXPECT_EQ(echoed, sent);
  ASSERT_TRUE(loop().runUntil([&] { return !send.isInFlight(); }));
  EXPECT_EQ(loop().counters().bytesSent.get(), sent.size());
}

// A peer that never stops must not keep the others from being served.
TEST_P(ReceiveConformanceTest, Receive_oneStreamIsEndless_othersAreServed) {
  Link busy = link();
  Link quiet = link();
  ConformanceOperation flood(loop());
  ConformanceOperation receive(loop());
  const std::string block = patternBytes(200'000);
  // Refilled as soon as it was drained, so that there is always more.
  flood.onCompletion = [&](const IoResult&) { busy.far->sendSome(block); };
  flood.receive(busy.near.get());
  receive.receive(quiet.near.get());
  busy.far->sendSome(block);
  loop().run(kNoWait);
  ASSERT_EQ(quiet.far->sendSome("please"), 6U);
  EXPECT_TRUE(loop().runUntil([&] { return receive.data() == "please"; }));
  flood.onCompletion = nullptr;
}

// Each is served although there are many more streams than buffers, and without spinning: a stream
// that finds no buffer is tried again only when there is one for it.
TEST_P(ReceiveConformanceTest, Receive_thousandStreamsOnTwoBuffers_allGetTheirsWithoutSpinning) {
  constexpr std::size_t kStreams = 1000;
  constexpr std::size_t kRounds = 3;
  std::vector<Link> links;
  std::vector<std::unique_ptr<ConformanceOperation>> receives;
  for (std::size_t i = 0; i < kStreams; ++i) {
    links.push_back(link());
    receives.push_back(std::make_unique<ConformanceOperation>(loop()));
    receives.back()->receive(links.back().near.get());
  }
  loop().settle();
  std::size_t expected = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    expected += 8;
    for (Link& pair : links) ASSERT_EQ(pair.far->sendSome("12345678"), 8U);
    ASSERT_TRUE(loop().runUntil([&] {
      for (const auto& receive : receives) {
        if (receive->data().size() != expected) return false;
      }
      return true;
    }));
  }
  EXPECT_LE(loop().counters().receivesStarved.get(), 2 * kStreams * kRounds);
  EXPECT_EQ(loop().counters().bytesReceived.get(), kStreams * expected);
  for (auto& receive : receives) loop().cancel(*receive);
  for (auto& receive : receives) EXPECT_EQ(receive->join().error, ECANCELED);
}

INSTANTIATE_TEST_SUITE_P(Engines, ReceiveConformanceTest, testing::ValuesIn(conformanceEngines()),
                         conformanceEngineName);

}  // namespace
}  // namespace gyre
