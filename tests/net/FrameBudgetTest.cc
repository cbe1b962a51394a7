// A flood of tiny frames on one connection is delivered in turns: so many per iteration, in order,
// with back-pressure, and the others in between.
#include <memory>
#include <string>
#include <vector>

#include "gyre/codec/FrameReader.h"
#include "gyre/codec/LineCodec.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;
constexpr std::uint16_t kBudget = 64;

class FrameBudgetTest : public ServerFixture {
 protected:
  // Lines of one digit each, counted up. Anything longer is answered.
  void startWith(ServerScript script = {}) {
    script.options.framesPerIteration = kBudget;
    script.onUp = [this](const TcpConnectionPtr& connection) {
      connections_.push_back(connection);
    };
    script.onMessage = framed(LineCodec(), [this](const auto& connection, std::string_view line) {
      if (line.size() != 1) return connection->send(std::string(line) + "\n");
      note(*connection, line);
    });
    start(std::move(script));
  }
  static std::string digits(std::size_t lines) {
    std::string text;
    for (std::size_t i = 0; i < lines; ++i) text += std::string(1, digitOf(i)) + "\n";
    return text;
  }
  // What the kernel takes while no loop runs.
  static std::size_t fill(Peer& peer, std::string_view text) {
    std::size_t sent = 0;
    while (const std::size_t some = peer.sendSome(text.substr(sent))) sent += some;
    return sent;
  }

  std::size_t frames_ = 0;
  std::size_t mostInOneIteration_ = 0;
  std::size_t stopAt_ = 0;
  std::vector<TcpConnectionPtr> connections_;

 private:
  static char digitOf(std::size_t line) { return static_cast<char>('0' + line % 10); }
  void note(TcpConnection& connection, std::string_view line) {
    ASSERT_EQ(line.front(), digitOf(frames_)) << "in order, and none is lost";
    ++frames_;
    const std::uint64_t iteration = connection.loop()->counters().iterations.get();
    if (std::exchange(iteration_, iteration) != iteration) inIteration_ = 0;
    mostInOneIteration_ = std::max(mostInOneIteration_, ++inIteration_);
    if (frames_ == stopAt_) connection.stopRead();
  }

  std::uint64_t iteration_ = 0;
  std::size_t inIteration_ = 0;
};

TEST_F(FrameBudgetTest, Flood_isDeliveredInTurns_thenItsEnd) {
  std::size_t atTheEnd = 0;
  startWith({.onHalfClose = [&](const TcpConnectionPtr& connection) {
    atTheEnd = frames_;
    connection->shutdown();
  }});
  Peer peer = connect();
  constexpr std::size_t kLines = 100'000;
  ASSERT_TRUE(peer.send(digits(kLines)));
  peer.halfClose();
  EXPECT_EQ(peer.receiveToEnd(), "");
  EXPECT_EQ(atTheEnd, kLines) << "bytes first, then the end";
  EXPECT_LE(mostInOneIteration_, kBudget);
}

// The end is known, and nothing else wakes the loop: what is left comes all the same.
TEST_F(FrameBudgetTest, WhatIsLeft_comesWithoutANewArrival) {
  startWith();
  Peer peer = connect();
  ASSERT_TRUE(peer.send(digits(10 * kBudget)));
  EXPECT_TRUE(runUntil([&] { return frames_ == 10 * kBudget; }));
  EXPECT_LE(mostInOneIteration_, kBudget);
}

TEST_F(FrameBudgetTest, Others_areServedInBetween) {
  startWith();
  std::vector<Peer> peers = connectMany(2);
  const std::size_t flood = fill(peers[0], digits(kMiB));
  ASSERT_GT(flood, 64U * 1024);
  ASSERT_EQ(peers[1].sendSome("hello\n"), 6U);
  EXPECT_EQ(peers[1].receive(6), "hello\n");
  EXPECT_LE(frames_, 20U * kBudget)
      << "an answer takes a few iterations, however long the flood is";
  ASSERT_TRUE(runUntil([&] { return frames_ == flood / 2; }));
  EXPECT_LE(mostInOneIteration_, kBudget);
}

TEST_F(FrameBudgetTest, Flood_isHeldBack_whileItsFramesWait) {
  startWith();
  std::vector<Peer> peers = connectMany(1);
  const std::string text = digits(kMiB);
  std::size_t sent = 0;
  for (int i = 0; i < 200; ++i) {
    sent += peers[0].sendSome(std::string_view(text).substr(sent % text.size()));
    runOnce();
  }
  const TcpConnection& connection = *connections_.front();
  EXPECT_LE(frames_, 201U * kBudget);
  EXPECT_LE(connection.inputBytes(), 2 * kMiB) << "256 KiB, and what had been taken by then";
  EXPECT_LT(connection.bytesReceived(), 3 * kMiB);
}

TEST_F(FrameBudgetTest, StopRead_amidAFlood_stopsIt) {
  startWith();
  stopAt_ = kBudget + 10;
  Peer peer = connect();
  constexpr std::size_t kLines = 1000;
  ASSERT_TRUE(peer.send(digits(kLines)));
  ASSERT_TRUE(runUntil([&] { return frames_ == stopAt_; }));
  settle();
  EXPECT_EQ(frames_, stopAt_);
  connections_.front()->startRead();
  EXPECT_TRUE(runUntil([&] { return frames_ == kLines; }));
}

// The loop never comes to rest meanwhile, and still lets go of what has closed.
TEST_F(FrameBudgetTest, ConnectionsThatClose_areLetGoOf_duringAFlood) {
  startWith();
  std::vector<Peer> peers = connectMany(2);
  const std::size_t flood = fill(peers[0], digits(kMiB));
  const std::weak_ptr<TcpConnection> closing = connections_.back();
  connections_.clear();
  peers[1].close();
  ASSERT_TRUE(runUntil([&] { return closing.expired(); }));
  EXPECT_LT(frames_, flood / 2) << "not only at its end";
}

}  // namespace
}  // namespace gyre
