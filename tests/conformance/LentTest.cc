// keepLent and returnLent: bytes of a receive that stay beyond its handler, to be sent from there.
#include "support/ConformanceFixture.h"

namespace gyre {
namespace {

class LentConformanceTest : public ConformanceTest {
 protected:
  // Receives what the peer sends and keeps the first of it; empty where the engine cannot.
  std::string_view receiveAndKeep(ConformanceOperation& receive, const Link& pair,
                                  std::string_view text) {
    std::string_view kept;
    receive.onCompletion = [&](const IoResult& result) {
      const std::string_view bytes(result.data, result.bytes);
      if (kept.empty() && !bytes.empty() && proactor().keepLent(bytes)) kept = bytes;
    };
    receive.receive(pair.near.get());
    EXPECT_EQ(pair.far->sendSome(text), text.size());
    EXPECT_TRUE(loop().runUntil([&] { return !receive.data().empty(); }));
    EXPECT_EQ(kept.empty(), proactor().name() == "epoll") << "it lends one buffer to all";
    receive.onCompletion = {};
    return kept;
  }
};

TEST_P(LentConformanceTest, KeepLent_bytesStayWhileMoreIsReceived) {
  const std::string first = patternBytes(1000);
  const std::string more = patternBytes(500'000, first.size());
  Link pair = link();
  ConformanceOperation receive(loop());
  const std::string_view kept = receiveAndKeep(receive, pair, first);
  ASSERT_TRUE(loop().sendAll(*pair.far, more));
  ASSERT_TRUE(loop().runUntil([&] { return receive.data().size() == first.size() + more.size(); }));
  EXPECT_TRUE(receive.data() == first + more);
  if (kept.empty()) return;
  EXPECT_EQ(kept, first.substr(0, kept.size()));
  proactor().returnLent(kept.data());
}

TEST_P(LentConformanceTest, KeepLent_twice_staysUntilItIsReturnedTwice) {
  Link pair = link();
  ConformanceOperation receive(loop());
  bool isKept = false;
  std::string_view front;
  std::string_view back;
  receive.onCompletion = [&](const IoResult& result) {
    if (isKept || result.bytes < 2) return;
    front = std::string_view(result.data, 1);
    back = std::string_view(result.data + 1, result.bytes - 1);
    isKept = proactor().keepLent(front) && proactor().keepLent(back);
  };
  receive.receive(pair.near.get());
  ASSERT_EQ(pair.far->sendSome("once and again"), 14U);
  ASSERT_TRUE(loop().runUntil([&] { return receive.data().size() == 14; }));
  if (!isKept) return;
  proactor().returnLent(front.data());
  const std::string before(back);
  ASSERT_TRUE(loop().sendAll(*pair.far, patternBytes(500'000)));
  ASSERT_TRUE(loop().runUntil([&] { return receive.data().size() == 500'014; }));
  EXPECT_EQ(back, before);
  proactor().returnLent(back.data());
}

TEST_P(LentConformanceTest, KeepLent_bytesOfElsewhereOrTooLate_isFalse) {
  Link pair = link();
  ConformanceOperation receive(loop());
  const std::string own = "not received";
  std::string_view lent;
  receive.onCompletion = [&](const IoResult& result) {
    EXPECT_FALSE(proactor().keepLent(own));
    if (result.bytes != 0) lent = {result.data, result.bytes};
  };
  receive.receive(pair.near.get());
  ASSERT_EQ(pair.far->sendSome("hello"), 5U);
  ASSERT_TRUE(loop().runUntil([&] { return !receive.data().empty(); }));
  EXPECT_FALSE(proactor().keepLent(own));
  EXPECT_FALSE(proactor().keepLent(lent)) << "its handler has returned";
}

TEST_P(LentConformanceTest, SendOfKeptBytes_arrives) {
  Link pair = link();
  ConformanceOperation receive(loop());
  const std::string_view kept = receiveAndKeep(receive, pair, "there and back again");
  if (kept.empty()) return;
  ConformanceOperation send(loop());
  send.send(pair.near.get(), kept);
  EXPECT_EQ(send.join().bytes, kept.size());
  EXPECT_EQ(loop().receiveAll(*pair.far, kept.size()), kept);
  proactor().returnLent(kept.data());
}

TEST_P(LentConformanceTest, SendOfKeptBytes_thatFindsNoRoom_endsInsteadOfWaiting) {
  const std::string large = patternBytes(kSendBytesMax - 100);
  Link slow = link(kTinyBuffers);
  Link pair = link();
  ConformanceOperation receive(loop());
  const std::string_view kept = receiveAndKeep(receive, pair, "from one to the other");
  if (kept.empty()) return;
  ConformanceOperation send(loop());
  const std::vector<IoSlice> slices = {{large.data(), large.size()}, {kept.data(), kept.size()}};
  send.send(slow.near.get(), slices);
  const auto end = send.join();
  EXPECT_EQ(end.error, EAGAIN);
  EXPECT_LT(end.bytes, large.size() + kept.size());
  proactor().returnLent(kept.data());
}

INSTANTIATE_TEST_SUITE_P(Engines, LentConformanceTest, testing::ValuesIn(conformanceEngines()),
                         conformanceEngineName);

}  // namespace
}  // namespace gyre
