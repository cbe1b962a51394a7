// The verb send: one completion, whatever the network makes of it.
#include <sys/uio.h>

#include "support/ConformanceFixture.h"

namespace gyre {
namespace {

using testing::AnyOf;

class SendConformanceTest : public ConformanceTest {
 protected:
  // A send that its peer does not read, and so does not end.
  void startStuck(ConformanceOperation& send, const Link& pair) {
    send.send(pair.near.get(), large_);
    loop().settle();
    ASSERT_TRUE(send.isInFlight());
    ASSERT_TRUE(send.told().empty());
  }

  const std::string large_ = patternBytes(kSendBytesMax);
};

TEST_P(SendConformanceTest, Send_oneSlice_arrives) {
  Link pair = link();
  ConformanceOperation send(loop());
  send.send(pair.near.get(), "hello");
  const auto end = send.join();
  EXPECT_EQ(end.error, 0);
  EXPECT_EQ(end.bytes, 5U);
  EXPECT_EQ(loop().receiveAll(*pair.far, 5), "hello");
  EXPECT_EQ(loop().counters().bytesSent.get(), 5U);
}

TEST_P(SendConformanceTest, Send_anyNumberOfSlices_arrivesInOrder) {
  Link pair = link();
  ConformanceOperation send(loop());
  for (std::size_t count = 1; count <= kSendSlicesMax; ++count) {
    std::vector<std::string> pieces;
    std::vector<IoSlice> slices;
    std::string all;
    for (std::size_t i = 0; i < count; ++i) {
      pieces.push_back(patternBytes(1 + i * 97, all.size()));
      all += pieces.back();
    }
    for (const std::string& piece : pieces) slices.push_back({piece.data(), piece.size()});
    send.send(pair.near.get(), slices);
    slices.assign(slices.size(), {nullptr, 0});  // they were copied
    ASSERT_EQ(loop().receiveAll(*pair.far, all.size()), all) << count << " slices";
    EXPECT_EQ(send.join().bytes, all.size());
  }
}

TEST_P(SendConformanceTest, Send_slowReader_isContinuedUntilAllIsDone) {
  std::vector<IoSlice> slices;
  for (std::size_t i = 0; i < kSendSlicesMax; ++i) {
    slices.push_back({large_.data() + i * 8000, 8000});
  }
  Link pair = link(kTinyBuffers);
  ConformanceOperation send(loop());
  send.send(pair.near.get(), slices);
  loop().settle();
  EXPECT_TRUE(send.told().empty());
  std::string got;
  ASSERT_TRUE(loop().runUntil([&] {
    pair.far->receiveSome(got, 1000);
    return got.size() == 8000 * kSendSlicesMax;
  }));
  EXPECT_EQ(got, large_.substr(0, got.size()));
  const auto end = send.join();
  EXPECT_EQ(end.bytes, got.size());
  EXPECT_EQ(end.error, 0);
  EXPECT_EQ(send.told().size(), 1U);
}

TEST_P(SendConformanceTest, Send_oneAfterTheOther_arriveInOrder) {
  const std::string all = patternBytes(500'000);
  std::size_t sent = 0;
  Link pair = link();
  ConformanceOperation send(loop());
  const auto sendNext = [&] {
    const std::size_t size = std::min<std::size_t>(1 + sent % 9000, all.size() - sent);
    if (size == 0) return;
    sent += size;
    send.send(pair.near.get(), std::string_view(all).substr(sent - size, size));
  };
  send.onCompletion = [&](const IoResult&) { sendNext(); };
  sendNext();
  EXPECT_EQ(loop().receiveAll(*pair.far, all.size()), all);
  EXPECT_EQ(send.join().error, 0);
}

// A peer that has ended its own sending is, to a poll, always ready: a send that waits for room
// must not take that for room, nor hold others up.
TEST_P(SendConformanceTest, Send_toOneOfManyThatHalfClosedAndDoNotRead_endsWhenThatOneReads) {
  constexpr std::size_t kPeers = 6;
  std::vector<Link> pairs;
  std::vector<std::string> owed(kPeers);
  std::vector<std::unique_ptr<ConformanceOperation>> sends;
  for (std::size_t i = 0; i < kPeers; ++i) {
    pairs.push_back(link(kTinyBuffers));
    // To most there is no room at all, also when what is on its way has arrived.
    for (int refused = i < 2 ? 3 : 0; refused < 3;) {
      const IoResult filled = proactor().trySend(pairs.back().near.get(), large_);
      owed[i] += large_.substr(0, filled.bytes);
      if (filled.bytes == 0) ++refused;
      loop().settle();
    }
    // One half-closes while the send waits, the others before.
    if (i != 1) pairs.back().far->halfClose();
    sends.push_back(std::make_unique<ConformanceOperation>(loop()));
    startStuck(*sends.back(), pairs.back());
    owed[i] += large_;
    if (i == 1) pairs.back().far->halfClose();
    loop().settle();
  }
  for (std::size_t i = kPeers; i-- > 0;) {
    std::string& expected = owed[i];
    ASSERT_TRUE(loop().receiveAll(*pairs[i].far, expected.size()) == expected) << "peer " << i;
    EXPECT_EQ(sends[i]->join().error, 0);
    if (i != 0) {
      EXPECT_TRUE(sends[i - 1]->isInFlight());
    }
  }
}

TEST_P(SendConformanceTest, Send_stuckBehindAHalfClosedPeer_canBeCancelled) {
  Link pair = link(kTinyBuffers);
  ConformanceOperation send(loop());
  pair.far->halfClose();
  startStuck(send, pair);
  std::string got;
  pair.far->receiveSome(got, 1000);
  loop().cancel(send);
  const auto end = send.join();
  EXPECT_EQ(end.error, ECANCELED);
  EXPECT_EQ(proactor().shutdownWrite(pair.near.get()), 0);
  got += loop().receiveToEnd(*pair.far);
  EXPECT_EQ(got, large_.substr(0, end.bytes));
}

TEST_P(SendConformanceTest, Send_stuckBehindAHalfClosedPeer_endsWithItsReset) {
  Link pair = link(kTinyBuffers);
  ConformanceOperation send(loop());
  pair.far->halfClose();
  startStuck(send, pair);
  pair.far->reset();
  EXPECT_THAT(send.join().error, AnyOf(ECONNRESET, EPIPE));
}

// The count says how far it came: exactly that reaches the peer, and nothing is sent later.
TEST_P(SendConformanceTest, Send_cancelledWhileStuck_tellsWhatItDidAndGoesNoFurther) {
  Link pair = link(kTinyBuffers);
  ConformanceOperation send(loop());
  startStuck(send, pair);
  loop().cancel(send);
  const auto end = send.join();
  EXPECT_EQ(end.error, ECANCELED);
  EXPECT_LT(end.bytes, large_.size());
  EXPECT_EQ(proactor().shutdownWrite(pair.near.get()), 0);
  const std::string got = loop().receiveToEnd(*pair.far);
  EXPECT_EQ(got.size(), end.bytes);
  EXPECT_EQ(got, large_.substr(0, got.size()));
  EXPECT_EQ(loop().counters().bytesSent.get(), end.bytes);
}

TEST_P(SendConformanceTest, Send_cancelAllWhileStuck_tellsWhatItDid) {
  Link pair = link(kTinyBuffers);
  ConformanceOperation send(loop());
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  startStuck(send, pair);
  loop().cancelAll(pair.near.get());
  EXPECT_EQ(send.join().error, ECANCELED);
  EXPECT_EQ(receive.join().error, ECANCELED);
  const std::size_t done = send.told().back().bytes;
  pair.near.close();
  EXPECT_EQ(loop().receiveToEnd(*pair.far), large_.substr(0, done));
}

// A FIN would tell the peer that it has got all.
TEST_P(SendConformanceTest, Close_lingerZeroAfterACancelledSend_resetsThePeer) {
  Link pair = link(kTinyBuffers);
  ConformanceOperation send(loop());
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  startStuck(send, pair);
  EXPECT_EQ(proactor().setOption(pair.near.get(), SocketOption::LingerZero, 1), 0);
  loop().cancelAll(pair.near.get());
  EXPECT_LT(send.join().bytes, large_.size());
  receive.join();
  pair.near.close();
  const std::string got = loop().receiveToEnd(*pair.far);
  EXPECT_EQ(got, large_.substr(0, got.size()));
  EXPECT_FALSE(pair.far->hasEnded());
  EXPECT_EQ(pair.far->error(), ECONNRESET);
}

TEST_P(SendConformanceTest, Send_startedAfterACancelledOne_goesOnWhereThatStopped) {
  Link pair = link(kTinyBuffers);
  ConformanceOperation send(loop());
  startStuck(send, pair);
  loop().cancel(send);
  const std::size_t done = send.join().bytes;
  send.send(pair.near.get(), std::string_view(large_).substr(done));
  EXPECT_EQ(loop().receiveAll(*pair.far, large_.size()), large_);
  EXPECT_EQ(send.join().bytes, large_.size() - done);
}

TEST_P(SendConformanceTest, Send_cancelledBeforeRun_endsOnce) {
  Link pair = link();
  ConformanceOperation send(loop());
  send.send(pair.near.get(), "never or whole");
  loop().cancel(send);
  const auto end = send.join();
  loop().settle();
  EXPECT_EQ(send.told().size(), 1U);
  EXPECT_THAT(end.bytes, AnyOf(0U, 14U));
  EXPECT_EQ(end.error, end.bytes == 0 ? ECANCELED : 0);
}

TEST_P(SendConformanceTest, Send_peerResetsWhileStuck_endsWithAnError) {
  Link pair = link(kTinyBuffers);
  ConformanceOperation send(loop());
  startStuck(send, pair);
  pair.far->reset();
  const auto end = send.join();
  EXPECT_THAT(end.error, AnyOf(ECONNRESET, EPIPE));
  EXPECT_LT(end.bytes, large_.size());
}

// The default action of SIGPIPE would end this process.
TEST_P(SendConformanceTest, Send_peerWasResetBefore_endsWithAnErrorAndNoSignal) {
  Link pair = link();
  pair.far->reset();
  ConformanceOperation send(loop());
  for (int i = 0; i < 3; ++i) {
    send.send(pair.near.get(), large_);
    const auto end = send.join();
    EXPECT_THAT(end.error, AnyOf(ECONNRESET, EPIPE));
    EXPECT_EQ(end.bytes, 0U);
  }
}

TEST_P(SendConformanceTest, Send_afterShutdownWrite_endsWithBrokenPipe) {
  Link pair = link();
  EXPECT_EQ(proactor().shutdownWrite(pair.near.get()), 0);
  ConformanceOperation send(loop());
  send.send(pair.near.get(), "too late");
  EXPECT_EQ(send.join().error, EPIPE);
}

TEST_P(SendConformanceTest, Send_shutdownBothWhileStuck_ends) {
  Link pair = link(kTinyBuffers);
  ConformanceOperation send(loop());
  startStuck(send, pair);
  EXPECT_EQ(proactor().shutdownBoth(pair.near.get()), 0);
  EXPECT_EQ(send.join().error, EPIPE);
}

TEST_P(SendConformanceTest, Send_peerHalfClosed_stillArrives) {
  Link pair = link();
  ConformanceOperation receive(loop());
  ConformanceOperation send(loop());
  receive.receive(pair.near.get());
  pair.far->halfClose();
  EXPECT_EQ(receive.join().error, 0);
  send.send(pair.near.get(), large_);
  EXPECT_EQ(loop().receiveAll(*pair.far, large_.size()), large_);
  EXPECT_EQ(send.join().error, 0);
}

TEST_P(SendConformanceTest, ShutdownWrite_afterTheSendHasEnded_peerGetsAllThenTheEnd) {
  Link pair = link();
  ConformanceOperation send(loop());
  send.onCompletion = [&](const IoResult&) {
    EXPECT_EQ(proactor().shutdownWrite(pair.near.get()), 0);
  };
  send.send(pair.near.get(), large_);
  EXPECT_EQ(loop().receiveToEnd(*pair.far), large_);
  EXPECT_TRUE(pair.far->hasEnded());
}

// --- trySend

// Between none and all, as the engine likes; never something else, and never waiting.
TEST_P(SendConformanceTest, TrySend_thereIsRoom_takesThemInOrderAndToldNobody) {
  Link pair = link();
  const std::string all = patternBytes(40'000);
  std::string_view rest = all;
  for (int tries = 0; !rest.empty() && tries < 1000; ++tries) {
    const IoResult result = proactor().trySend(pair.near.get(), rest);
    ASSERT_EQ(result.error, 0);
    ASSERT_LE(result.bytes, rest.size());
    rest.remove_prefix(result.bytes);
  }
  EXPECT_TRUE(rest.empty());
  EXPECT_EQ(proactor().operationsInFlight(), 0U);
  EXPECT_EQ(loop().counters().bytesSent.get(), all.size());
  EXPECT_EQ(loop().receiveAll(*pair.far, all.size()), all);
}

TEST_P(SendConformanceTest, TrySend_noRoomLeft_takesNoneAndASendGoesOnBehindIt) {
  Link pair = link(kTinyBuffers);
  std::size_t done = 0;
  for (int refusals = 0; refusals < 50;) {
    ASSERT_LT(done, large_.size());
    const IoResult result =
        proactor().trySend(pair.near.get(), std::string_view(large_).substr(done));
    ASSERT_EQ(result.error, 0);
    done += result.bytes;
    refusals = result.bytes == 0 ? refusals + 1 : 0;
  }
  EXPECT_GT(done, 0U);
  ConformanceOperation send(loop());
  send.send(pair.near.get(), std::string_view(large_).substr(done));
  EXPECT_EQ(loop().receiveAll(*pair.far, large_.size()), large_);
  EXPECT_EQ(send.join().bytes, large_.size() - done);
}

TEST_P(SendConformanceTest, TrySend_peerHasReset_tellsTheErrorAndRaisesNoSignal) {
  Link pair = link();
  pair.far->reset();
  loop().settle();
  const IoResult result = proactor().trySend(pair.near.get(), "late");
  EXPECT_THAT(result.error, AnyOf(ECONNRESET, EPIPE));
  EXPECT_EQ(result.bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(Engines, SendConformanceTest, testing::ValuesIn(conformanceEngines()),
                         conformanceEngineName);

}  // namespace
}  // namespace gyre
