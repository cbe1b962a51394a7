// The verb receiveInto: one receive into memory of the caller.
#include <array>

#include "support/ConformanceFixture.h"

namespace gyre {
namespace {

using testing::AnyOf;

class ReceiveIntoConformanceTest : public ConformanceTest {
 protected:
  std::string_view got(std::size_t bytes) const { return {buffer_.data(), bytes}; }

  std::array<char, 4096> buffer_{};
};

TEST_P(ReceiveIntoConformanceTest, ReceiveInto_lessThanRoomArrives_endsWithThat) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receiveInto(pair.near.get(), buffer_);
  loop().settle();
  EXPECT_TRUE(receive.isInFlight());
  ASSERT_TRUE(loop().sendAll(*pair.far, "short"));
  const auto end = receive.join();
  EXPECT_EQ(end.error, 0);
  EXPECT_EQ(got(end.bytes), "short");
  EXPECT_EQ(receive.told().size(), 1U);
}

TEST_P(ReceiveIntoConformanceTest, ReceiveInto_exactlyItsRoomWaits_takesAll) {
  const std::string sent = patternBytes(buffer_.size());
  Link pair = link();
  ASSERT_TRUE(loop().sendAll(*pair.far, sent));
  ConformanceOperation receive(loop());
  receive.receiveInto(pair.near.get(), buffer_);
  const auto end = receive.join();
  EXPECT_EQ(got(end.bytes), sent);
}

TEST_P(ReceiveIntoConformanceTest, ReceiveInto_moreThanRoomWaits_leavesTheRest) {
  Link pair = link();
  ASSERT_TRUE(loop().sendAll(*pair.far, "abcdef"));
  ConformanceOperation receive(loop());
  receive.receiveInto(pair.near.get(), {buffer_.data(), 4});
  EXPECT_EQ(got(receive.join().bytes), "abcd");
  receive.receiveInto(pair.near.get(), {buffer_.data(), 4});
  EXPECT_EQ(got(receive.join().bytes), "ef");
}

TEST_P(ReceiveIntoConformanceTest, ReceiveInto_oneAfterTheOther_giveTheWholeStream) {
  const std::string sent = patternBytes(200'000);
  std::string all;
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.onCompletion = [&](const IoResult& result) {
    all.append(buffer_.data(), result.bytes);
    // From inside its own terminal handler: the flight is over.
    if (result.bytes > 0) receive.receiveInto(pair.near.get(), buffer_);
  };
  receive.receiveInto(pair.near.get(), buffer_);
  ASSERT_TRUE(loop().sendAll(*pair.far, sent));
  pair.far->halfClose();
  ASSERT_TRUE(loop().runUntil([&] { return !receive.isInFlight(); }));
  EXPECT_EQ(receive.told().back().error, 0);
  EXPECT_EQ(all, sent);
}

TEST_P(ReceiveIntoConformanceTest, ReceiveInto_endOfStream_endsWithNothing) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receiveInto(pair.near.get(), buffer_);
  loop().settle();
  pair.far->close();
  const auto end = receive.join();
  EXPECT_EQ(end.bytes, 0U);
  EXPECT_EQ(end.error, 0);
}

TEST_P(ReceiveIntoConformanceTest, ReceiveInto_peerResets_endsWithConnectionReset) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receiveInto(pair.near.get(), buffer_);
  loop().settle();
  pair.far->reset();
  EXPECT_EQ(receive.join().error, ECONNRESET);
}

TEST_P(ReceiveIntoConformanceTest, ReceiveInto_cancelledWithDataThere_losesNothing) {
  Link pair = link();
  ConformanceOperation receive(loop());
  receive.receiveInto(pair.near.get(), buffer_);
  loop().settle();
  ASSERT_TRUE(loop().sendAll(*pair.far, "precious"));
  loop().cancel(receive);
  auto end = receive.join();
  if (end.bytes == 0) {
    EXPECT_EQ(end.error, ECANCELED);
    receive.receiveInto(pair.near.get(), buffer_);
    end = receive.join();
  }
  EXPECT_EQ(got(end.bytes), "precious");
}

// A stream and single receives of one socket take turns, as a bulk connection does.
TEST_P(ReceiveIntoConformanceTest, ReceiveInto_takesTurnsWithReceive_theStreamIsWhole) {
  const std::string sent = patternBytes(400'000);
  std::string_view unsent = sent;
  std::string all;
  Link pair = link();
  ConformanceOperation stream(loop());
  ConformanceOperation single(loop());
  std::size_t fromStream = 0;
  while (all.size() < sent.size()) {
    unsent.remove_prefix(pair.far->sendSome(unsent.substr(0, 30'000)));
    stream.receive(pair.near.get());
    loop().run(kNoWait);
    loop().cancel(stream);
    EXPECT_THAT(stream.join().error, AnyOf(0, ECANCELED));
    all += stream.data().substr(fromStream);
    fromStream = stream.data().size();
    if (all.size() == sent.size()) break;
    single.receiveInto(pair.near.get(), buffer_);
    if (all.size() == sent.size() - unsent.size()) loop().cancel(single);
    all += got(single.join().bytes);
    ASSERT_EQ(all, sent.substr(0, all.size()));
  }
  EXPECT_EQ(all, sent);
}

INSTANTIATE_TEST_SUITE_P(Engines, ReceiveIntoConformanceTest,
                         testing::ValuesIn(conformanceEngines()), conformanceEngineName);

}  // namespace
}  // namespace gyre
