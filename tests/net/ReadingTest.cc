// Pausing: a connection that does not read holds its peer back, and loses nothing.
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

class ReadingTest : public ServerFixture {
 protected:
  // Collects what the one connection gets.
  ServerScript collecting(ServerScript script) {
    script.onUp = [this, up = script.onUp](const TcpConnectionPtr& connection) {
      connection_ = connection;
      if (up) up(connection);
    };
    if (!script.onHalfClose) {
      script.onHalfClose = [this](const TcpConnectionPtr& connection) {
        bytesAtTheEnd_ = got_.size();
        connection->shutdown();
      };
    }
    return script;
  }
  MessageCallback collect() {
    return [this](const TcpConnectionPtr&, Buffer& in) { got_ += in.retrieveAllAsString(); };
  }
  std::uint64_t bytesTaken() { return loop().counters().bytesReceived.get(); }

  TcpConnectionPtr connection_;
  std::string got_;
  std::size_t bytesAtTheEnd_ = 0;
};

TEST_F(ReadingTest, StopRead_holdsThePeerBack_andStartReadDeliversAllThenTheEnd) {
  start(collecting({.onUp = [](const TcpConnectionPtr& connection) { connection->stopRead(); },
                    .onMessage = collect()}));
  Peer peer = connect();
  const std::string text = patternBytes(64 * kMiB);
  const std::size_t sent = peer.sendUntilStalled(text);
  EXPECT_LT(sent, text.size()) << "the kernel's buffers are full";
  EXPECT_EQ(bytesTaken(), 0U);
  EXPECT_FALSE(connection_->isReading());
  peer.halfClose();
  settle();
  EXPECT_EQ(count(CallbackKind::HalfClose), 0U) << "bytes come first";
  EXPECT_EQ(watch().openCount(), 1U);

  connection_->startRead();
  EXPECT_EQ(peer.receiveToEnd(), "");
  EXPECT_TRUE(got_ == text.substr(0, sent));
  EXPECT_EQ(bytesAtTheEnd_, sent);
  EXPECT_EQ(count(CallbackKind::HalfClose), 1U);
}

TEST_F(ReadingTest, StopRead_whileBytesPourIn_stopsThemAndKeepsWhatWasTaken) {
  start(collecting({.onMessage = [this](const TcpConnectionPtr& connection, Buffer& in) {
    got_ += in.retrieveAllAsString();
    if (got_.size() < kMiB) return;
    connection->stopRead();
    EXPECT_FALSE(connection->isReading());
  }}));
  Peer peer = connect();
  const std::string text = patternBytes(64 * kMiB);
  const std::size_t sent = peer.sendUntilStalled(text);
  const std::size_t calls = count(CallbackKind::Message);
  const std::uint64_t taken = bytesTaken();
  settle();
  EXPECT_EQ(count(CallbackKind::Message), calls) << "none after stopRead";
  EXPECT_EQ(bytesTaken(), taken) << "and the kernel takes no more";
  EXPECT_LT(taken, 4 * kMiB);

  // Again and again: each message callback stops reading.
  ASSERT_TRUE(runUntil([&] {
    connection_->startRead();
    return got_.size() == sent;
  }));
  EXPECT_TRUE(got_ == text.substr(0, sent));
}

TEST_F(ReadingTest, StopRead_fromAnotherThread_stops) {
  start(collecting({.threads = 1, .onMessage = keepAll}));
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  connection_->stopRead();
  const std::string text = patternBytes(64 * kMiB);
  EXPECT_LT(peer.sendUntilStalled(text), text.size());
}

TEST_F(ReadingTest, StartReadAndStopRead_aThousandTimes_loseNothing) {
  start(collecting({.onMessage = collect()}));
  Peer peer = connect();
  const std::string text = patternBytes(8 * kMiB);
  ASSERT_TRUE(runUntilUp(1));
  std::size_t sent = 0;
  int turns = 0;
  ASSERT_TRUE(runUntil([&] {
    sent += peer.sendSome(std::string_view(text).substr(sent));
    ++turns % 2 == 0 ? connection_->startRead() : connection_->stopRead();
    return got_.size() == text.size() && turns >= 1000;
  }));
  EXPECT_TRUE(got_ == text);
}

TEST_F(ReadingTest, StopReadThenStartRead_atOnce_isNoPause) {
  start(collecting({.onMessage = collect()}));
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  settle();
  const std::uint64_t before = loop().counters().submissions.get();
  connection_->stopRead();
  connection_->startRead();
  settle();
  EXPECT_EQ(loop().counters().submissions.get(), before);
  ASSERT_TRUE(peer.send("still there"));
  EXPECT_TRUE(runUntil([&] { return got_ == "still there"; }));
}

TEST_F(ReadingTest, ReadOnEstablishFalse_readsNothingBeforeStartRead) {
  start(collecting({.options = {.readOnEstablish = false}, .onMessage = collect()}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("hello"));
  ASSERT_TRUE(runUntilUp(1));
  settle();
  EXPECT_EQ(bytesTaken(), 0U);
  EXPECT_FALSE(connection_->isReading());
  connection_->startRead();
  EXPECT_TRUE(runUntil([&] { return got_ == "hello"; }));
}

TEST_F(ReadingTest, ReadOnEstablishFalse_aPeerThatGoes_isSeenAfterItsBytes) {
  start(collecting({.options = {.readOnEstablish = false}, .onMessage = collect()}));
  {
    Peer peer = connect();
    ASSERT_TRUE(peer.send("last words"));
  }
  ASSERT_TRUE(runUntilUp(1));
  settle();
  EXPECT_EQ(watch().openCount(), 1U);
  connection_->startRead();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(got_, "last words");
}

TEST_F(ReadingTest, EndOfInput_takenBeforeStopRead_isToldAfterStartRead) {
  start(collecting({.onMessage = [this](const TcpConnectionPtr& connection, Buffer& in) {
    got_ += in.retrieveAllAsString();
    connection->stopRead();
  }}));
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  // In one batch with the bytes.
  peer.sendSome("the end");
  peer.halfClose();
  ASSERT_TRUE(runUntil([&] { return got_ == "the end"; }));
  settle();
  EXPECT_EQ(count(CallbackKind::HalfClose), 0U);
  connection_->startRead();
  EXPECT_TRUE(runUntil([&] { return count(CallbackKind::HalfClose) == 1; }));
}

TEST_F(ReadingTest, InputLimit_pausesUntilStartRead) {
  start(collecting({.options = {.inputLimit = kMiB}, .onMessage = keepAll}));
  Peer peer = connect();
  const std::string text = patternBytes(64 * kMiB);
  const std::size_t sent = peer.sendUntilStalled(text);
  EXPECT_LT(sent, text.size());
  EXPECT_GT(connection_->inputBytes(), kMiB);
  EXPECT_LT(connection_->inputBytes(), 4 * kMiB) << "bounded";
  const std::uint64_t taken = bytesTaken();
  connection_->startRead();
  ASSERT_TRUE(runUntil([&] { return bytesTaken() > taken; })) << "goes on";
  settle();
  EXPECT_LT(bytesTaken(), taken + 4 * kMiB) << "and pauses again";
}

// What a callback left in the buffer when it stopped reading is not forgotten.
TEST_F(ReadingTest, StartRead_afterAMessageLeftBytes_offersThemAgain) {
  start(collecting({.onMessage = [this](const TcpConnectionPtr& connection, Buffer& in) {
    got_ += in.retrieveAsString(std::min<std::size_t>(in.readableBytes(), 4));
    connection->stopRead();
  }}));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("one.two.six."));
  ASSERT_TRUE(runUntil([&] { return got_ == "one."; }));
  settle();
  EXPECT_EQ(got_, "one.");
  connection_->startRead();
  ASSERT_TRUE(runUntil([&] { return got_ == "one.two."; }));
  connection_->startRead();
  ASSERT_TRUE(runUntil([&] { return got_ == "one.two.six."; }));
  EXPECT_EQ(connection_->inputBytes(), 0U);
}

}  // namespace
}  // namespace gyre
