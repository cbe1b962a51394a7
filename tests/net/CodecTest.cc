// The codecs by themselves: what is a frame, what is refused, and that it never matters how the
// bytes came in pieces.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gyre/codec/FixedLengthCodec.h"
#include "gyre/codec/LengthFieldCodec.h"
#include "gyre/codec/LineCodec.h"

namespace gyre {
namespace {

// The frames of a stream, and how it ended: Incomplete, or why it was refused.
struct Outcome {
  std::vector<std::string> frames = {};
  FrameStatus end = FrameStatus::Incomplete;
  std::size_t left = 0;  // bytes of an incomplete frame

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Feeds a codec as a connection does.
template <typename Codec>
class Feeder {
 public:
  explicit Feeder(const Codec& codec) : codec_(codec) {}

  void feed(std::string_view piece) {
    in_.append(piece);
    while (outcome_.end == FrameStatus::Incomplete && in_.readableBytes() != 0) {
      const FrameResult result = codec_.decode(in_.view(), searched_);
      searched_ = 0;
      if (result.status != FrameStatus::Complete) {
        EXPECT_LE(result.searched, in_.readableBytes());
        outcome_.end = result.status;
        searched_ = result.searched;
        return;
      }
      expectWindow(result.frame);
      outcome_.frames.emplace_back(result.frame);
      in_.retrieve(result.consumed);
    }
  }
  Outcome outcome() {
    outcome_.left = outcome_.end == FrameStatus::Incomplete ? in_.readableBytes() : 0;
    return outcome_;
  }

 private:
  void expectWindow(std::string_view frame) const {
    EXPECT_GE(frame.data(), in_.peek());
    EXPECT_LE(frame.data() + frame.size(), in_.peek() + in_.readableBytes());
  }

  const Codec& codec_;
  Buffer in_;
  std::size_t searched_ = 0;
  Outcome outcome_;
};

template <typename Codec>
Outcome decodeAll(const Codec& codec, std::string_view stream) {
  Feeder<Codec> feeder(codec);
  feeder.feed(stream);
  return feeder.outcome();
}

// Bit i of `cuts`: the stream is cut behind its byte i.
template <typename Codec>
Outcome decodeCut(const Codec& codec, std::string_view stream, std::uint64_t cuts) {
  Feeder<Codec> feeder(codec);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < stream.size(); ++i) {
    const bool isCut = i + 1 == stream.size() || ((cuts >> i) & 1) != 0;
    if (!isCut) continue;
    feeder.feed(stream.substr(begin, i + 1 - begin));
    begin = i + 1;
  }
  return feeder.outcome();
}

template <typename Codec>
void expectSameInEverySplit(const Codec& codec, std::string_view stream) {
  ASSERT_LE(stream.size(), 14U) << "2^13 splits are enough";
  const Outcome whole = decodeAll(codec, stream);
  for (std::uint64_t cuts = 0; cuts < std::uint64_t{1} << (stream.size() - 1); ++cuts) {
    ASSERT_TRUE(decodeCut(codec, stream, cuts) == whole)
        << testing::PrintToString(stream) << " cut as " << cuts;
  }
}

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text.push_back(static_cast<char>(value));
  return text;
}

using Frames = std::vector<std::string>;

// --- Length field

TEST(LengthFieldCodecTest, Decode_everyWidthAndOrder_readsTheSamePayload) {
  for (const int width : {1, 2, 3, 4, 8}) {
    for (const ByteOrder order : {ByteOrder::Network, ByteOrder::Little}) {
      std::string header(static_cast<std::size_t>(width), '\0');
      (order == ByteOrder::Little ? header.front() : header.back()) = 5;
      const LengthFieldCodec codec({.fieldBytes = width, .order = order});
      const Outcome outcome = decodeAll(codec, header + "hello" + header + "world" + header);
      EXPECT_EQ(outcome.frames, (Frames{"hello", "world"})) << width;
      EXPECT_EQ(outcome.left, header.size());
    }
  }
}

TEST(LengthFieldCodecTest, Decode_lengthOfSeveralBytes_isPutTogetherInOrder) {
  const std::string payload(0x010203, 'x');
  const LengthFieldOptions network{.fieldBytes = 3, .maximum = 1 << 24};
  LengthFieldOptions little = network;
  little.order = ByteOrder::Little;
  EXPECT_EQ(decodeAll(LengthFieldCodec(network), bytes({1, 2, 3}) + payload).frames,
            Frames{payload});
  EXPECT_EQ(decodeAll(LengthFieldCodec(little), bytes({3, 2, 1}) + payload).frames,
            Frames{payload});
}

TEST(LengthFieldCodecTest, Decode_lengthThatCountsTheHeader_isLessTheHeader) {
  const LengthFieldCodec codec({.fieldBytes = 2, .counts = LengthCounts::HeaderAndPayload});
  EXPECT_EQ(decodeAll(codec, bytes({0, 4}) + "ab" + bytes({0, 2})).frames, (Frames{"ab", ""}));
  EXPECT_EQ(decodeAll(codec, bytes({0, 1})).end, FrameStatus::BadLength);
}

TEST(LengthFieldCodecTest, Decode_atTheMaximum_isTaken_andAboveItRefusedBeforeThePayload) {
  const LengthFieldCodec codec({.fieldBytes = 2, .maximum = 300});
  EXPECT_EQ(decodeAll(codec, bytes({1, 44}) + std::string(300, 'x')).frames.size(), 1U);
  EXPECT_EQ(codec.decode(bytes({1, 45})).status, FrameStatus::TooLong);
  EXPECT_EQ(codec.decode(bytes({1})).status, FrameStatus::Incomplete);
}

TEST(LengthFieldCodecTest, Decode_lengthsNearTheEndOfTheNumbers_areTooLong) {
  const std::string header(8, '\xff');
  for (const LengthCounts counts : {LengthCounts::Payload, LengthCounts::HeaderAndPayload}) {
    const LengthFieldCodec codec({.fieldBytes = 8, .counts = counts});
    EXPECT_EQ(codec.decode(header).status, FrameStatus::TooLong);
    EXPECT_EQ(codec.decode(header + "some bytes").status, FrameStatus::TooLong);
  }
  // With no maximum at all it merely waits, and holds what has come.
  const LengthFieldCodec boundless(
      {.fieldBytes = 8, .maximum = std::numeric_limits<std::size_t>::max()});
  EXPECT_EQ(boundless.decode(header + "some bytes").status, FrameStatus::Incomplete);
}

TEST(LengthFieldCodecTest, Decode_anySplit_givesTheSame) {
  for (const LengthCounts counts : {LengthCounts::Payload, LengthCounts::HeaderAndPayload}) {
    const LengthFieldCodec codec({.fieldBytes = 2, .counts = counts, .maximum = 5});
    expectSameInEverySplit(codec, bytes({0, 3}) + "abc" + bytes({0, 2}) + "de" + bytes({0, 0, 0}));
    expectSameInEverySplit(codec, bytes({0, 4}) + "abcd" + bytes({1, 0}) + "xyz");
    expectSameInEverySplit(codec, bytes({0, 2, 0, 2}) + "ab" + bytes({0, 1, 0, 0}));
  }
}

TEST(LengthFieldCodecTest, Encode_givesBackWhatDecodeTook) {
  for (const int width : {1, 2, 3, 4, 8}) {
    for (const ByteOrder order : {ByteOrder::Network, ByteOrder::Little}) {
      for (const LengthCounts counts : {LengthCounts::Payload, LengthCounts::HeaderAndPayload}) {
        const LengthFieldCodec codec({.fieldBytes = width, .order = order, .counts = counts});
        Buffer out;
        const Frames frames = {"", "a", std::string(200, 'b')};
        for (const std::string& frame : frames) {
          ASSERT_EQ(codec.encode(frame, out), FrameStatus::Complete);
        }
        EXPECT_EQ(decodeAll(codec, out.view()).frames, frames);
      }
    }
  }
}

TEST(LengthFieldCodecTest, Encode_tooLongForFieldOrMaximum_appendsNothing) {
  Buffer out;
  out.append("before");
  const LengthFieldCodec byField(
      {.fieldBytes = 1, .counts = LengthCounts::HeaderAndPayload, .maximum = 1000});
  EXPECT_EQ(byField.encode(std::string(255, 'x'), out), FrameStatus::TooLong);
  const LengthFieldCodec byMaximum({.maximum = 3});
  EXPECT_EQ(byMaximum.encode("four", out), FrameStatus::TooLong);
  EXPECT_EQ(out.view(), "before");
  EXPECT_EQ(byField.encode(std::string(254, 'x'), out), FrameStatus::Complete);
}

TEST(LengthFieldCodecTest, FieldOfFiveBytes_isABrokenPromise) {
  EXPECT_DEATH(LengthFieldCodec({.fieldBytes = 5}), "a length field has");
}

// --- Lines

TEST(LineCodecTest, Decode_bothEndings_andEmptyLines) {
  const LineCodec codec;
  const Outcome outcome = decodeAll(codec, "one\r\ntwo\n\n\r\nthr\ree\rfour\r\r\nrest\r");
  EXPECT_EQ(outcome.frames, (Frames{"one", "two", "", "", "thr\ree\rfour\r"}));
  EXPECT_EQ(outcome.left, 5U);
}

TEST(LineCodecTest, Decode_atTheMaximum_withEitherEnding) {
  const LineCodec codec({.maximum = 3});
  EXPECT_EQ(decodeAll(codec, "abc\nabc\r\n").frames, (Frames{"abc", "abc"}));
  EXPECT_EQ(decodeAll(codec, "abcd\n").end, FrameStatus::TooLong);
  EXPECT_EQ(decodeAll(codec, "abc\r\r\n").end, FrameStatus::TooLong);
}

TEST(LineCodecTest, Decode_noEnding_isRefusedAtTheMaximum) {
  const LineCodec codec({.maximum = 3});
  EXPECT_EQ(codec.decode("abc").status, FrameStatus::Incomplete);
  EXPECT_EQ(codec.decode("abc\r").status, FrameStatus::Incomplete);
  EXPECT_EQ(codec.decode("abcd").status, FrameStatus::TooLong);
  EXPECT_EQ(codec.decode("abc\r\r").status, FrameStatus::TooLong);
  // Not even looked for beyond it.
  EXPECT_EQ(codec.decode(std::string(1'000'000, 'x') + '\n').status, FrameStatus::TooLong);
}

TEST(LineCodecTest, Decode_searchesEachByteOnce) {
  const LineCodec codec({.maximum = 100});
  EXPECT_EQ(codec.decode("abc").searched, 3U);
  // Were the first three looked at again, the line would end there.
  const FrameResult result = codec.decode("\n\n\nde\n", 3);
  EXPECT_EQ(result.frame, "\n\n\nde");
  EXPECT_EQ(result.consumed, 6U);
}

TEST(LineCodecTest, Decode_noMaximum_isPossible) {
  const LineCodec codec({.maximum = std::numeric_limits<std::size_t>::max()});
  EXPECT_EQ(decodeAll(codec, std::string(1'000'000, 'x') + "\r\n").frames.size(), 1U);
}

TEST(LineCodecTest, Decode_anySplit_givesTheSame) {
  const LineCodec codec({.maximum = 3});
  for (const char* stream :
       {"abc\r\nde\n\n\rf\n", "abc\r\n\r\n\r\nab\rc", "a\nabcd\nx\n", "abc\r\r\na\n",
        "\r\r\r\r\r\n", "\n\n\n\n\r\n\r\n", "ab\nabc\rd\nab\n"}) {
    expectSameInEverySplit(codec, stream);
  }
}

TEST(LineCodecTest, Encode_givesBackWhatDecodeTook) {
  for (const LineEnding ending : {LineEnding::Lf, LineEnding::CrLf}) {
    const LineCodec codec({.ending = ending});
    Buffer out;
    const Frames lines = {"", "one", "t\rwo", std::string(8192, 'x')};
    for (const std::string& line : lines) {
      ASSERT_EQ(codec.encode(line, out), FrameStatus::Complete);
    }
    EXPECT_EQ(decodeAll(codec, out.view()).frames, lines);
  }
}

TEST(LineCodecTest, Encode_whatWouldBeReadAsSomethingElse_appendsNothing) {
  const LineCodec codec({.maximum = 10});
  Buffer out;
  EXPECT_EQ(codec.encode("two\nlines", out), FrameStatus::BadContent);
  EXPECT_EQ(codec.encode("line\r", out), FrameStatus::BadContent);
  EXPECT_EQ(codec.encode("much too long", out), FrameStatus::TooLong);
  EXPECT_EQ(out.readableBytes(), 0U);
}

// --- Fixed length

TEST(FixedLengthCodecTest, Decode_anySplit_givesTheSame) {
  const FixedLengthCodec codec(3);
  EXPECT_EQ(decodeAll(codec, "abcdefgh").frames, (Frames{"abc", "def"}));
  EXPECT_EQ(decodeAll(codec, "abcdefgh").left, 2U);
  expectSameInEverySplit(codec, "abcdefghijklmn");
}

TEST(FixedLengthCodecTest, Encode_ofAnotherLength_appendsNothing) {
  const FixedLengthCodec codec(3);
  Buffer out;
  EXPECT_EQ(codec.encode("ab", out), FrameStatus::BadContent);
  EXPECT_EQ(codec.encode("abcd", out), FrameStatus::BadContent);
  EXPECT_EQ(codec.encode("abc", out), FrameStatus::Complete);
  EXPECT_EQ(out.view(), "abc");
  EXPECT_DEATH(FixedLengthCodec(0), "frames of no length");
}

// --- Anything

// GYRE_TEST_SEED replays a run.
std::uint64_t seed() {
  const char* text = std::getenv("GYRE_TEST_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
}

// Few different bytes, so that lengths and endings come up by themselves.
std::string randomStream(std::mt19937_64& random) {
  constexpr std::string_view kAlphabet("\0\0\0\1\2\3\x07\n\n\rab\xff", 13);
  std::string stream(1 + random() % 200, '\0');
  for (char& byte : stream) byte = kAlphabet[random() % kAlphabet.size()];
  return stream;
}

template <typename Codec>
Outcome decodeInRandomPieces(const Codec& codec, std::string_view stream, std::mt19937_64& random) {
  Feeder<Codec> feeder(codec);
  while (!stream.empty()) {
    const std::size_t size = std::min<std::size_t>(1 + random() % 17, stream.size());
    feeder.feed(stream.substr(0, size));
    stream.remove_prefix(size);
  }
  return feeder.outcome();
}

template <typename Codec>
void expectSameInRandomSplits(const Codec& codec, std::mt19937_64& random) {
  for (int round = 0; round < 2000; ++round) {
    const std::string stream = randomStream(random);
    const Outcome whole = decodeAll(codec, stream);
    ASSERT_TRUE(decodeInRandomPieces(codec, stream, random) == whole)
        << testing::PrintToString(stream);
  }
}

TEST(CodecTest, RandomBytesInRandomPieces_giveTheSame) {
  const std::uint64_t start = seed();
  std::mt19937_64 random(start);
  SCOPED_TRACE("GYRE_TEST_SEED=" + std::to_string(start));
  for (const int width : {1, 2, 3, 4, 8}) {
    for (const LengthCounts counts : {LengthCounts::Payload, LengthCounts::HeaderAndPayload}) {
      const ByteOrder order = random() % 2 == 0 ? ByteOrder::Network : ByteOrder::Little;
      const std::size_t maximum = random() % 20;
      expectSameInRandomSplits(
          LengthFieldCodec(
              {.fieldBytes = width, .order = order, .counts = counts, .maximum = maximum}),
          random);
    }
  }
  for (const std::size_t maximum : {0U, 1U, 5U, 100U}) {
    expectSameInRandomSplits(LineCodec({.maximum = maximum}), random);
  }
  expectSameInRandomSplits(FixedLengthCodec(1 + random() % 50), random);
}

}  // namespace
}  // namespace gyre
