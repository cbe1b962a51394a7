// The slot between wire and user: bytes are transformed both ways, and the protocol has the last
// word.
#include <cerrno>
#include <memory>
#include <optional>
#include <stdexcept>

#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

std::string flipped(std::string_view bytes) {
  std::string result(bytes);
  for (char& byte : result) byte = static_cast<char>(byte ^ 0x5a);
  return result;
}

std::string doubled(std::string_view bytes) {
  std::string result;
  result.reserve(2 * bytes.size());
  for (const char byte : bytes) result.append(2, byte);
  return result;
}

// Keeps every size.
class FlipFilter final : public ConnectionFilter {
 public:
  bool decode(std::string_view received, Buffer& plain, Buffer&) override {
    plain.append(flipped(received));
    return true;
  }
  bool encode(std::string_view plain, Buffer& wire) override {
    wire.append(flipped(plain));
    return true;
  }
  void finish(Buffer& wire) override { wire.append("<end>"); }
};

// Each byte is twice on the wire: sizes change, pairs are split, and what is no pair is an error.
// Answers the first byte with a greeting.
class DoublingFilter final : public ConnectionFilter {
 public:
  bool decode(std::string_view received, Buffer& plain, Buffer& wire) override {
    if (!std::exchange(isGreeted_, true)) wire.append("<hello>");
    for (const char byte : received) {
      if (!half_) {
        half_ = byte;
        continue;
      }
      if (*half_ != byte) return false;
      plain.appendInt8(byte);
      half_.reset();
    }
    return true;
  }
  bool encode(std::string_view plain, Buffer& wire) override {
    wire.append(doubled(plain));
    return plain.find("forbidden") == std::string_view::npos;
  }
  void finish(Buffer& wire) override { wire.append("<end>"); }

 private:
  bool isGreeted_ = false;
  std::optional<char> half_;
};

class FilterTest : public ServerFixture {
 protected:
  template <typename Filter>
  ServerScript filtered(ServerScript script) {
    script.onUp = [this, up = script.onUp](const TcpConnectionPtr& connection) {
      connection_ = connection;
      connection->setFilter(std::make_unique<Filter>());
      if (up) up(connection);
    };
    script.onClose = [this](const TcpConnectionPtr& connection) {
      reason_ = connection->closeReason();
      error_ = connection->error();
    };
    return script;
  }

  TcpConnectionPtr connection_;
  CloseReason reason_ = CloseReason::None;
  int error_ = 0;
};

TEST_F(FilterTest, Flip_bothWays_isExactAndEndsWithItsLastWord) {
  std::string got;
  start(filtered<FlipFilter>({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
    got += std::string(in.view());
    connection->send(in);
  }}));
  Peer peer = connect();
  const std::string text = patternBytes(4 * kMiB);
  ASSERT_TRUE(peer.send(flipped(text)));
  peer.halfClose();
  EXPECT_TRUE(peer.receiveToEnd() == flipped(text) + "<end>");
  EXPECT_TRUE(got == text);
}

TEST_F(FilterTest, Doubling_inOddPieces_isExact) {
  start(filtered<DoublingFilter>({}));
  Peer peer = connect();
  const std::string text = patternBytes(20'000);
  const std::string wire = doubled(text);
  std::uint64_t taken = 0;
  for (std::size_t at = 0; at < wire.size(); at += 999) {
    const std::string_view piece = std::string_view(wire).substr(at, 999);
    ASSERT_TRUE(peer.send(piece));
    taken += piece.size();
    ASSERT_TRUE(runUntil([&] { return loop().counters().bytesReceived.get() == taken; }));
  }
  EXPECT_EQ(peer.receive(7), "<hello>");
  EXPECT_TRUE(peer.receive(wire.size()) == wire);
}

TEST_F(FilterTest, EveryFormOfSend_passesTheFilter) {
  start(filtered<DoublingFilter>({.onUp = [](const TcpConnectionPtr& connection) {
    Buffer buffer;
    buffer.append("d");
    connection->send("a");
    connection->send(std::string(10'000, 'b'));
    connection->send(std::make_shared<const std::string>("c"));
    connection->send(buffer);
    connection->send("");
    connection->shutdown();
  }}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "aa" + std::string(20'000, 'b') + "ccdd<end>");
}

TEST_F(FilterTest, Finish_isSaidOnce) {
  start(filtered<FlipFilter>({.onUp = [](const TcpConnectionPtr& connection) {
    connection->shutdownWrite();
    connection->shutdownWrite();
    connection->shutdown();
  }}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "<end>");
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
}

TEST_F(FilterTest, ForceClose_saysNothing) {
  start(filtered<FlipFilter>({.onUp = [](const auto& connection) { connection->forceClose(); }}));
  Peer peer = connect();
  EXPECT_EQ(peer.receiveToEnd(), "");
}

TEST_F(FilterTest, Finish_throws_isTheReason) {
  class Failing final : public ConnectionFilter {
   public:
    bool decode(std::string_view, Buffer&, Buffer&) override { return true; }
    bool encode(std::string_view, Buffer&) override { return true; }
    void finish(Buffer&) override { throw std::runtime_error("no last word"); }
  };
  start(filtered<Failing>({.onUp = [](const auto& connection) { connection->shutdown(); }}));
  const Peer peer = connect();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::CallbackFailed);
}

TEST_F(FilterTest, BadInput_abortsTheConnection) {
  start(filtered<DoublingFilter>({}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("aabbcx"));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Error);
  EXPECT_EQ(error_, EPROTO);
}

TEST_F(FilterTest, OutputThatCannotBeEncoded_abortsTheConnection) {
  start(filtered<DoublingFilter>(
      {.onUp = [](const auto& connection) { connection->send("forbidden"); }}));
  const Peer peer = connect();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Error);
  EXPECT_EQ(error_, EPROTO);
}

TEST_F(FilterTest, LimitsCountWhatGoesOnTheWire) {
  std::size_t told = 0;
  start(filtered<DoublingFilter>(
      {.options = {.highWaterMark = 1500},
       .onUp = [](const auto& connection) { connection->send(std::string(1000, 'x')); },
       .onHighWater = [&](const auto&, std::size_t bytes) { told = bytes; }}));
  const Peer peer = connect();
  ASSERT_TRUE(runUntil([&] { return told != 0; }));
  EXPECT_EQ(told, 2000U);
}

}  // namespace
}  // namespace gyre
