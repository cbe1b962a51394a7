// Codecs: any stream, in any split, gives the frames that a simple model finds in the whole.
#include <string>
#include <vector>

#include "InputReader.h"
#include "gyre/base/Buffer.h"
#include "gyre/codec/FixedLengthCodec.h"
#include "gyre/codec/LengthFieldCodec.h"
#include "gyre/codec/LineCodec.h"

namespace gyre {
namespace {

struct Outcome {
  std::vector<std::string> frames = {};
  FrameStatus end = FrameStatus::Incomplete;  // or why the stream was refused

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// As a connection does: keeps what is incomplete, and how much of it was searched.
template <typename Codec>
Outcome decodeInPieces(const Codec& codec, std::string_view stream, std::size_t pieceMax) {
  Outcome outcome;
  Buffer kept;
  std::size_t searched = 0;
  for (std::size_t place = 0; place < stream.size();) {
    const std::string_view piece = stream.substr(place, 1 + place * 7919 % pieceMax);
    place += piece.size();
    kept.append(piece);
    while (kept.readableBytes() != 0) {
      const FrameResult result = codec.decode(kept.view(), searched);
      expect(result.searched <= kept.readableBytes(), "no more is searched than there is");
      searched = result.searched;
      if (result.status == FrameStatus::Incomplete) break;
      outcome.end = result.status;
      if (result.status != FrameStatus::Complete) return outcome;
      expect(result.consumed > 0 && result.consumed <= kept.readableBytes(), "a frame has bytes");
      outcome.frames.emplace_back(result.frame);
      kept.retrieve(result.consumed);
    }
  }
  outcome.end = FrameStatus::Incomplete;
  return outcome;
}

// What was decoded goes back to what decodes to the same.
template <typename Codec>
void expectRoundTrip(const Codec& codec, const Outcome& outcome) {
  Buffer wire;
  for (const std::string& frame : outcome.frames) {
    const std::size_t before = wire.readableBytes();
    const FrameStatus status = codec.encode(frame, wire);
    // A line may hold a CR at its end only when it came with CRLF after it.
    if (status == FrameStatus::BadContent && frame.ends_with('\r')) continue;
    expect(status == FrameStatus::Complete, "a decoded frame is encoded again");
    const FrameResult result = codec.decode(wire.view().substr(before), 0);
    expect(result.status == FrameStatus::Complete && result.frame == frame, "… and decoded");
  }
}

Outcome modelLines(std::string_view stream, std::size_t maximum) {
  Outcome outcome;
  std::string line;
  for (const char byte : stream) {
    if (byte != '\n') {
      line += byte;
      const std::size_t ending = line.ends_with('\r') ? 1 : 0;
      if (line.size() - ending <= maximum) continue;
      outcome.end = FrameStatus::TooLong;
      return outcome;
    }
    if (line.ends_with('\r')) line.pop_back();
    outcome.frames.push_back(line);
    line.clear();
  }
  return outcome;
}

Outcome modelLengths(std::string_view stream, const LengthFieldOptions& options) {
  Outcome outcome;
  const auto header = static_cast<std::size_t>(options.fieldBytes);
  while (stream.size() >= header) {
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < header; ++i) {
      const std::size_t place = options.order == ByteOrder::Network ? i : header - 1 - i;
      length = length * 256 + static_cast<unsigned char>(stream[place]);
    }
    if (options.counts == LengthCounts::HeaderAndPayload && length < header) {
      outcome.end = FrameStatus::BadLength;
      return outcome;
    }
    if (options.counts == LengthCounts::HeaderAndPayload) length -= header;
    if (length > options.maximum) {
      outcome.end = FrameStatus::TooLong;
      return outcome;
    }
    const auto size = static_cast<std::size_t>(length);
    if (stream.size() - header < size) return outcome;
    outcome.frames.emplace_back(stream.substr(header, size));
    stream.remove_prefix(header + size);
  }
  return outcome;
}

Outcome modelFixed(std::string_view stream, std::size_t length) {
  Outcome outcome;
  for (; stream.size() >= length; stream.remove_prefix(length)) {
    outcome.frames.emplace_back(stream.substr(0, length));
  }
  return outcome;
}

template <typename Codec>
void expectModel(const Codec& codec, const Outcome& model, std::string_view stream,
                 std::size_t pieceMax) {
  const Outcome pieces = decodeInPieces(codec, stream, pieceMax);
  expect(pieces == model, "the frames of the stream, in pieces");
  expect(decodeInPieces(codec, stream, 1) == model, "the frames of the stream, byte by byte");
  expectRoundTrip(codec, pieces);
}

}  // namespace
}  // namespace gyre

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gyre;
  InputReader input(data, size);
  const std::uint8_t kind = input.byte();
  const std::size_t pieceMax = 1 + input.byte();
  const std::size_t maximum = input.byte();
  const std::string_view stream = input.rest();
  if (kind % 3 == 0) {
    const LineCodec codec({kind % 2 == 0 ? LineEnding::Lf : LineEnding::CrLf, maximum});
    expectModel(codec, modelLines(stream, maximum), stream, pieceMax);
  } else if (kind % 3 == 1) {
    constexpr int kBytes[] = {1, 2, 3, 4, 8};
    LengthFieldOptions options;
    options.fieldBytes = kBytes[kind / 3 % 5];
    options.order = kind / 15 % 2 == 0 ? ByteOrder::Network : ByteOrder::Little;
    options.counts = kind / 30 % 2 == 0 ? LengthCounts::Payload : LengthCounts::HeaderAndPayload;
    options.maximum = maximum;
    expectModel(LengthFieldCodec(options), modelLengths(stream, options), stream, pieceMax);
  } else {
    const std::size_t length = 1 + maximum;
    expectModel(FixedLengthCodec(length), modelFixed(stream, length), stream, pieceMax);
  }
  return 0;
}
