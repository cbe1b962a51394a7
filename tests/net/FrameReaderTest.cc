// Codecs on connections: frames arrive whole and in order, a bad one ends its connection and says
// why, and the callback may do anything in the middle of a batch.
#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

#include "gyre/codec/FixedLengthCodec.h"
#include "gyre/codec/FrameReader.h"
#include "gyre/codec/LengthFieldCodec.h"
#include "gyre/codec/LineCodec.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

using Frames = std::vector<std::string>;

class FrameReaderTest : public ServerFixture {
 protected:
  // A script whose frames are kept in frames_, and how it ended in reason_ and error_.
  template <typename Codec>
  ServerScript collecting(Codec codec) {
    return script(framed(std::move(codec), [this](const auto&, std::string_view frame) {
      frames_.emplace_back(frame);
    }));
  }
  ServerScript script(MessageCallback onMessage) {
    return {.onMessage = std::move(onMessage), .onClose = [this](const auto& connection) {
              reason_ = connection->closeReason();
              error_ = connection->error();
            }};
  }
  // Lines, with something that the callback does at the line "now".
  ServerScript lines(ConnectionCallback atNow) {
    return script(framed(LineCodec(), [this, atNow](const auto& connection, std::string_view line) {
      frames_.emplace_back(line);
      if (line == "now") atNow(connection);
    }));
  }
  bool runUntilFrames(std::size_t count) {
    return runUntil([&] { return frames_.size() >= count; });
  }

  Frames frames_;
  CloseReason reason_ = CloseReason::None;
  int error_ = 0;
};

TEST_F(FrameReaderTest, Echo_inTwoLines_givesBackEveryFrame) {
  const LengthFieldCodec codec;
  start({.onMessage = framed(codec, [codec](const auto& connection, std::string_view frame) {
           Buffer out;
           if (codec.encode(frame, out) == FrameStatus::Complete) connection->send(out);
         })});
  Buffer text;
  for (std::size_t size = 0; size <= 65'536; size = size * 3 + 1) {
    ASSERT_EQ(codec.encode(std::string(size, 'x'), text), FrameStatus::Complete);
  }
  Peer peer = connect();
  EchoDialogue dialogue(peer, text.view());
  ASSERT_TRUE(runUntil([&] { return !dialogue.step(); }));
  EXPECT_TRUE(dialogue.isComplete());
}

TEST_F(FrameReaderTest, LinesInPiecesOfOneByte_arriveWhole) {
  start(collecting(LineCodec()));
  Peer peer = connect();
  for (const char byte : std::string("first\r\nsecond\n\nlast")) {
    ASSERT_TRUE(peer.send({&byte, 1}));
    settle();
  }
  EXPECT_EQ(frames_, (Frames{"first", "second", ""}));
}

TEST_F(FrameReaderTest, TenThousandFramesInOneBurst_arriveInOrder) {
  start(collecting(FixedLengthCodec(8)));
  Peer peer = connect();
  Frames expected;
  std::string burst;
  for (int i = 0; i < 10'000; ++i) {
    expected.push_back(std::to_string(10'000'000 + i));
    burst += expected.back();
  }
  ASSERT_TRUE(peer.send(burst));
  ASSERT_TRUE(runUntilFrames(10'000));
  EXPECT_EQ(frames_, expected);
}

TEST_F(FrameReaderTest, LongLine_isSearchedOnce_andRefusedAtTheMaximum) {
  std::size_t searchedMax = 0;
  std::size_t looked = 0;
  const LineCodec codec({.maximum = 100'000});
  start(script(framedBy(
      [&](std::string_view input, std::size_t searched) {
        looked += input.size() - searched;
        searchedMax = std::max(searchedMax, searched);
        return codec.decode(input, searched);
      },
      [this](const auto&, std::string_view line) { frames_.emplace_back(line); })));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("short\n"));
  ASSERT_TRUE(runUntilFrames(1));
  const std::string piece(1000, 'x');
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(peer.send(piece));
    ASSERT_TRUE(runUntil([&] { return looked >= 6 + 1000U * static_cast<unsigned>(i + 1); }));
  }
  EXPECT_EQ(looked, 100'006U) << "each byte once";
  EXPECT_EQ(searchedMax, 99'000U);
  EXPECT_EQ(count(CallbackKind::Close), 0U);
  ASSERT_TRUE(peer.send("y"));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Error);
  EXPECT_EQ(error_, EMSGSIZE);
}

// --- Bad frames

TEST_F(FrameReaderTest, HugeLengthField_closesAtOnce_andOthersLive) {
  start(collecting(LengthFieldCodec()));
  Peer other = connect();
  Peer peer = connect();
  ASSERT_TRUE(peer.send(std::string("\0\0\0\2ok\x7f\xff\xff\xff", 10)));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(frames_, Frames{"ok"}) << "what came before it counts";
  EXPECT_EQ(reason_, CloseReason::Error);
  EXPECT_EQ(error_, EMSGSIZE);
  ASSERT_TRUE(other.send(std::string("\0\0\0\3fin", 7)));
  EXPECT_TRUE(runUntilFrames(2));
}

TEST_F(FrameReaderTest, LengthLessThanItsHeader_closesWithAnotherError) {
  start(collecting(LengthFieldCodec({.counts = LengthCounts::HeaderAndPayload})));
  Peer peer = connect();
  ASSERT_TRUE(peer.send(std::string("\0\0\0\3", 4)));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Error);
  EXPECT_EQ(error_, EBADMSG);
}

TEST_F(FrameReaderTest, BadFrameCallback_mayAnswerAndShutDown) {
  std::vector<FrameStatus> whys;
  start(script(framed(
      LineCodec({.maximum = 4}), [](const auto& connection, auto line) { connection->send(line); },
      [&](const TcpConnectionPtr& connection, FrameStatus why) {
        whys.push_back(why);
        connection->send(describe(why));
        connection->shutdown();
      })));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("good\nnot good\nmore\nthan enough"));
  EXPECT_EQ(peer.receiveToEnd(), "goodthe frame is too long");
  EXPECT_EQ(whys, std::vector{FrameStatus::TooLong});
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::Shutdown);
}

TEST_F(FrameReaderTest, BadFrameCallback_thatDoesNothingOrThrows_doesNotKeepTheConnection) {
  for (const bool throws : {false, true}) {
    start(script(framed(
        LineCodec({.maximum = 4}), [](const auto&, auto) {},
        [&](const auto&, FrameStatus) {
          if (throws) throw std::runtime_error("thrown on purpose");
        })));
    Peer peer = connect();
    ASSERT_TRUE(peer.send("too long"));
    ASSERT_TRUE(runUntilClosed(1));
    EXPECT_EQ(reason_, throws ? CloseReason::CallbackFailed : CloseReason::Error);
    endServer();
  }
}

TEST_F(FrameReaderTest, FrameAboveTheInputLimit_isRefusedInsteadOfStalling) {
  ServerScript script = collecting(LengthFieldCodec({.maximum = 1'000'000}));
  script.options.inputLimit = 50'000;
  start(std::move(script));
  Peer peer = connect();
  // Of a frame of 1'000'000 bytes.
  peer.sendUntilStalled(std::string("\0\x0f\x42\x40", 4) + std::string(100'000, 'x'));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(error_, EMSGSIZE);
}

// --- What the callback does in the middle of a batch

TEST_F(FrameReaderTest, ForceCloseInABatch_deliversNothingMore) {
  start(lines([](const auto& connection) { connection->forceClose(); }));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("a\nnow\nb\nc\n"));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(frames_, (Frames{"a", "now"}));
  EXPECT_EQ(reason_, CloseReason::Aborted);
}

TEST_F(FrameReaderTest, ShutdownInABatch_deliversNothingMore) {
  start(lines([](const auto& connection) {
    connection->send("bye");
    connection->shutdown();
  }));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("a\nnow\nb\nc\n"));
  EXPECT_EQ(peer.receiveToEnd(), "bye");
  peer.close();
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(frames_, (Frames{"a", "now"}));
}

TEST_F(FrameReaderTest, ThrowInABatch_closesThatConnectionOnly) {
  start(lines([](const auto&) { throw std::runtime_error("thrown on purpose"); }));
  Peer other = connect();
  Peer peer = connect();
  ASSERT_TRUE(peer.send("a\nnow\nb\nc\n"));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(reason_, CloseReason::CallbackFailed);
  ASSERT_TRUE(other.send("d\n"));
  ASSERT_TRUE(runUntilFrames(3));
  EXPECT_EQ(frames_, (Frames{"a", "now", "d"}));
}

TEST_F(FrameReaderTest, StopReadInABatch_keepsTheRestForStartRead) {
  TcpConnectionPtr stopped;
  start(lines([&](const auto& connection) {
    connection->stopRead();
    stopped = connection;
  }));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("a\nnow\nb\nc\n"));
  ASSERT_TRUE(runUntilFrames(2));
  settle();
  EXPECT_EQ(frames_, (Frames{"a", "now"}));
  stopped->startRead();
  ASSERT_TRUE(runUntilFrames(4));
  EXPECT_EQ(frames_, (Frames{"a", "now", "b", "c"}));
}

TEST_F(FrameReaderTest, SetProfileInABatch_givesTheRestToTheNewCodec) {
  RefPtr<ConnectionProfile> fixed;
  start(lines([&](const auto& connection) { connection->setProfile(fixed); }));
  fixed = server()->makeProfile();
  server().fill(*fixed, collecting(FixedLengthCodec(3)));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("a\nnow\nb\ncd\n"));
  ASSERT_TRUE(runUntilFrames(3));
  ASSERT_TRUE(peer.send("e"));
  ASSERT_TRUE(runUntilFrames(4));
  EXPECT_EQ(frames_, (Frames{"a", "now", "b\nc", "d\ne"}));
}

// What the first codec has searched in vain may hold the end of the second one's frame.
TEST_F(FrameReaderTest, SetProfileWithAFrameHalfThere_beginsItAnew) {
  RefPtr<ConnectionProfile> byLine;
  TcpConnectionPtr connection;
  ServerScript script = collecting(FixedLengthCodec(100));
  script.onUp = [&](const TcpConnectionPtr& up) { connection = up; };
  start(std::move(script));
  byLine = server()->makeProfile();
  server().fill(*byLine, collecting(LineCodec()));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("one\ntwo\nthr"));
  ASSERT_TRUE(runUntil([&] { return connection != nullptr && connection->inputBytes() == 11; }));
  connection->setProfile(byLine);
  ASSERT_TRUE(runUntilFrames(2));
  ASSERT_TRUE(peer.send("ee\n"));
  ASSERT_TRUE(runUntilFrames(3));
  EXPECT_EQ(frames_, (Frames{"one", "two", "three"}));
}

TEST_F(FrameReaderTest, EndOfStreamInAFrame_closesInGoodOrder) {
  start(collecting(LineCodec()));
  Peer peer = connect();
  ASSERT_TRUE(peer.send("whole\nhalf"));
  peer.halfClose();
  EXPECT_EQ(peer.receiveToEnd(), "");
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(frames_, Frames{"whole"});
  EXPECT_EQ(reason_, CloseReason::PeerClosed);
}

}  // namespace
}  // namespace gyre
