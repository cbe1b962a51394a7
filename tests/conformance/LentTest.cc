// keepLent and returnLent: bytes of a receive that stay beyond its handler, to be sent from there.
#include <chrono>
#include <optional>

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

  void runOnce() { loop().run(proactor().now() + std::chrono::seconds(10)); }

  // How a send of kept bytes and others ends when nobody reads; nothing where the engine cannot.
  template <typename MakeSlices>
  std::optional<ConformanceOperation::Completion> sendToAStalledPeer(MakeSlices makeSlices) {
    Link slow = link(kTinyBuffers);
    Link pair = link();
    ConformanceOperation receive(loop());
    const std::string_view kept = receiveAndKeep(receive, pair, kKept);
    if (kept.empty()) return std::nullopt;
    ConformanceOperation send(loop());
    send.send(slow.near.get(), makeSlices(kept));
    const auto end = send.join();
    proactor().returnLent(kept.data());
    return end;
  }

  static constexpr std::string_view kKept = "from one to the other";
};

TEST_P(LentConformanceTest, KeepLent_bytesStayWhileTheNextRunReceivesMore) {
  const std::string first = patternBytes(1000);
  const std::string more = patternBytes(500'000, first.size());
  Link pair = link();
  ConformanceOperation receive(loop());
  const std::string_view kept = receiveAndKeep(receive, pair, first);
  const std::size_t sent = pair.far->sendSome(more);
  runOnce();
  EXPECT_GT(receive.data().size(), first.size());
  if (!kept.empty()) {
    EXPECT_EQ(kept, first.substr(0, kept.size()));
    proactor().returnLent(kept.data());
  }
  ASSERT_TRUE(loop().sendAll(*pair.far, std::string_view(more).substr(sent)));
  ASSERT_TRUE(loop().runUntil([&] { return receive.data().size() == first.size() + more.size(); }));
  EXPECT_TRUE(receive.data() == first + more);
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
  const std::size_t sent = pair.far->sendSome(patternBytes(500'000));
  runOnce();
  EXPECT_EQ(back, before);
  proactor().returnLent(back.data());
  ASSERT_TRUE(loop().runUntil([&] { return receive.data().size() == 14 + sent; }));
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
  const std::string sent(kept);
  proactor().returnLent(kept.data());
  EXPECT_EQ(loop().receiveAll(*pair.far, sent.size()), sent);
}

TEST_P(LentConformanceTest, SendOfKeptBytes_behindOthersThatFindNoRoom_endsInsteadOfWaiting) {
  const std::string large = patternBytes(kSendBytesMax - 100);
  const auto end = sendToAStalledPeer([&](std::string_view kept) {
    return std::vector<IoSlice>{{large.data(), large.size()}, {kept.data(), kept.size()}};
  });
  if (!end) return;
  EXPECT_EQ(end->error, EAGAIN);
  EXPECT_LT(end->bytes, large.size());
}

// They are sent, and their owner hears of it only when the whole send ends.
TEST_P(LentConformanceTest, SendOfKeptBytes_beforeOthersThatFindNoRoom_endsInsteadOfWaiting) {
  const std::string large = patternBytes(kSendBytesMax - 100);
  const auto end = sendToAStalledPeer([&](std::string_view kept) {
    return std::vector<IoSlice>{{kept.data(), kept.size()}, {large.data(), large.size()}};
  });
  if (!end) return;
  EXPECT_EQ(end->error, EAGAIN);
  EXPECT_LT(end->bytes, large.size());
  EXPECT_GT(end->bytes, kKept.size());
}

INSTANTIATE_TEST_SUITE_P(Engines, LentConformanceTest, testing::ValuesIn(conformanceEngines()),
                         conformanceEngineName);

}  // namespace
}  // namespace gyre
