// The verb poll on sockets: above all the watch for the end of one that does not receive.
#include <poll.h>

#include <array>

#include "support/ConformanceFixture.h"

namespace gyre {
namespace {

class PollConformanceTest : public ConformanceTest {};

TEST_P(PollConformanceTest, Poll_peerResets_theWatchFires) {
  Link pair = link();
  ConformanceOperation watch(loop());
  watch.poll(pair.near.get(), POLLHUP | POLLERR);
  loop().settle();
  EXPECT_TRUE(watch.isInFlight());
  pair.far->reset();
  const auto end = watch.join();
  EXPECT_EQ(end.error, 0);
  EXPECT_NE(end.events & (POLLHUP | POLLERR), 0U);
  EXPECT_EQ(watch.told().size(), 1U);
}

TEST_P(PollConformanceTest, Poll_peerWasResetBefore_theWatchFires) {
  Link pair = link();
  pair.far->reset();
  ConformanceOperation watch(loop());
  watch.poll(pair.near.get(), POLLHUP | POLLERR);
  EXPECT_TRUE(watch.told().empty());
  EXPECT_NE(watch.join().events & (POLLHUP | POLLERR), 0U);
}

// The edge has been seen and used up by the receive; the state is still there.
TEST_P(PollConformanceTest, Poll_receiveHasMetTheReset_theWatchFires) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  loop().settle();
  pair.far->reset();
  EXPECT_EQ(receive.join().error, ECONNRESET);
  ConformanceOperation watch(loop());
  watch.poll(pair.near.get(), POLLHUP | POLLERR);
  EXPECT_NE(watch.join().events & POLLHUP, 0U);
}

TEST_P(PollConformanceTest, Poll_dataAndItsEndArrive_theWatchKeepsQuiet) {
  Link pair = link();
  ConformanceOperation watch(loop());
  watch.poll(pair.near.get(), POLLHUP | POLLERR);
  loop().settle();
  ASSERT_TRUE(loop().sendAll(*pair.far, "nobody reads this"));
  loop().settle();
  pair.far->halfClose();
  loop().settle();
  EXPECT_TRUE(watch.told().empty()) << "events " << watch.told().back().events;
  ConformanceOperation receive(loop());
  receive.receive(pair.near.get());
  EXPECT_EQ(receive.join().error, 0);
  EXPECT_EQ(receive.data(), "nobody reads this");
  EXPECT_TRUE(watch.isInFlight());
}

// A connection that was half-closed by its peer goes on sending, and must notice a reset.
TEST_P(PollConformanceTest, Poll_streamHasEnded_theWatchWaitsForTheReset) {
  Link pair = link();
  ConformanceOperation receive(loop());
  ConformanceOperation watch(loop());
  receive.receive(pair.near.get());
  pair.far->halfClose();
  EXPECT_EQ(receive.join().error, 0);
  watch.poll(pair.near.get(), POLLHUP | POLLERR);
  loop().settle();
  EXPECT_TRUE(watch.isInFlight());
  pair.far->reset();
  EXPECT_NE(watch.join().events & (POLLHUP | POLLERR), 0U);
}

TEST_P(PollConformanceTest, Poll_resetBehindUnreadData_theWatchFiresAndTheSendEnds) {
  Link pair = link(kTinyBuffers);
  const std::string large = patternBytes(kSendBytesMax);
  ASSERT_TRUE(loop().sendAll(*pair.far, "unread"));
  ConformanceOperation watch(loop());
  ConformanceOperation send(loop());
  watch.poll(pair.near.get(), POLLHUP | POLLERR);
  send.send(pair.near.get(), large);
  loop().settle();
  EXPECT_TRUE(watch.isInFlight());
  EXPECT_TRUE(send.isInFlight());
  pair.far->reset();
  EXPECT_NE(watch.join().events & (POLLHUP | POLLERR), 0U);
  EXPECT_NE(send.join().error, 0);
}

TEST_P(PollConformanceTest, Poll_watchBesideAStreamOfSends_theStreamIsWhole) {
  const std::string large = patternBytes(kSendBytesMax);
  Link pair = link(kTinyBuffers);
  ConformanceOperation watch(loop());
  ConformanceOperation send(loop());
  watch.poll(pair.near.get(), POLLHUP | POLLERR);
  send.send(pair.near.get(), large);
  EXPECT_EQ(loop().receiveAll(*pair.far, large.size()), large);
  EXPECT_EQ(send.join().error, 0);
  EXPECT_TRUE(watch.isInFlight());
}

TEST_P(PollConformanceTest, Poll_writableSocket_saysSo) {
  Link pair = link();
  ConformanceOperation poll(loop());
  poll.poll(pair.near.get(), POLLOUT);
  EXPECT_TRUE(poll.told().empty());
  EXPECT_EQ(poll.join().events, static_cast<std::uint32_t>(POLLOUT));
}

TEST_P(PollConformanceTest, Poll_dataArrives_saysReadableEachTimeItIsAsked) {
  Link pair = link();
  ConformanceOperation poll(loop());
  poll.poll(pair.near.get(), POLLIN);
  loop().settle();
  EXPECT_TRUE(poll.told().empty());
  ASSERT_TRUE(loop().sendAll(*pair.far, "unread"));
  EXPECT_EQ(poll.join().events, static_cast<std::uint32_t>(POLLIN));
  // No new edge since then, but the state is as it was.
  poll.poll(pair.near.get(), POLLIN);
  EXPECT_EQ(poll.join().events, static_cast<std::uint32_t>(POLLIN));
}

TEST_P(PollConformanceTest, Poll_dataWasReadMeanwhile_waitsForTheNext) {
  Link pair = link();
  ConformanceOperation poll(loop());
  ConformanceOperation receive(loop());
  std::array<char, 16> buffer{};
  ASSERT_TRUE(loop().sendAll(*pair.far, "first"));
  poll.poll(pair.near.get(), POLLIN);
  poll.join();
  receive.receiveInto(pair.near.get(), buffer);
  EXPECT_EQ(receive.join().bytes, 5U);
  poll.poll(pair.near.get(), POLLIN);
  loop().settle();
  EXPECT_TRUE(poll.isInFlight());
  ASSERT_TRUE(loop().sendAll(*pair.far, "second"));
  EXPECT_EQ(poll.join().events, static_cast<std::uint32_t>(POLLIN));
}

TEST_P(PollConformanceTest, Poll_severalOnOneSocket_eachGetsItsOwn) {
  Link pair = link();
  ConformanceOperation hangUp(loop());
  ConformanceOperation input(loop());
  ConformanceOperation output(loop());
  hangUp.poll(pair.near.get(), POLLHUP);
  input.poll(pair.near.get(), POLLIN);
  output.poll(pair.near.get(), POLLOUT);
  EXPECT_EQ(output.join().events, static_cast<std::uint32_t>(POLLOUT));
  ASSERT_TRUE(loop().sendAll(*pair.far, "x"));
  EXPECT_EQ(input.join().events, static_cast<std::uint32_t>(POLLIN));
  EXPECT_TRUE(hangUp.isInFlight());
  loop().cancel(hangUp);
  EXPECT_EQ(hangUp.join().error, ECANCELED);
}

INSTANTIATE_TEST_SUITE_P(Engines, PollConformanceTest, testing::ValuesIn(conformanceEngines()),
                         conformanceEngineName);

}  // namespace
}  // namespace gyre
