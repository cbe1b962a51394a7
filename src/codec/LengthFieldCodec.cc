#include "gyre/codec/LengthFieldCodec.h"

#include <array>
#include <limits>

#include "gyre/base/Check.h"

namespace gyre {

LengthFieldCodec::LengthFieldCodec(const LengthFieldOptions& options) : options_(options) {
  const int bytes = options.fieldBytes;
  GYRE_CHECK(bytes == 1 || bytes == 2 || bytes == 3 || bytes == 4 || bytes == 8,
             "a length field has 1, 2, 3, 4 or 8 bytes");
}

// Compared before anything is added: a field of 8 bytes can claim more than memory has addresses.
FrameResult LengthFieldCodec::decode(std::string_view input, std::size_t) const noexcept {
  if (input.size() < headerSize()) return {};
  std::uint64_t length = readLength(input.data());
  if (options_.counts == LengthCounts::HeaderAndPayload) {
    if (length < headerSize()) return {FrameStatus::WrongLength};
    length -= headerSize();
  }
  if (length > options_.maximum) return {FrameStatus::TooLong};
  const std::string_view rest = input.substr(headerSize());
  if (rest.size() < length) return {};
  const auto size = static_cast<std::size_t>(length);
  return {FrameStatus::Complete, rest.substr(0, size), headerSize() + size};
}

FrameStatus LengthFieldCodec::encode(std::string_view payload, Buffer& out) const {
  std::uint64_t length = payload.size();
  if (options_.counts == LengthCounts::HeaderAndPayload) length += headerSize();
  if (payload.size() > options_.maximum || length > lengthMax()) return FrameStatus::TooLong;
  std::array<char, 8> field{};
  for (int i = 0; i < options_.fieldBytes; ++i) {
    field[static_cast<std::size_t>(i)] = static_cast<char>((length >> shiftOf(i)) & 0xff);
  }
  out.ensureWritableBytes(headerSize() + payload.size());
  out.append(field.data(), headerSize());
  out.append(payload);
  return FrameStatus::Complete;
}

std::uint64_t LengthFieldCodec::lengthMax() const noexcept {
  if (options_.fieldBytes == 8) return std::numeric_limits<std::uint64_t>::max();
  return (std::uint64_t{1} << (8 * options_.fieldBytes)) - 1;
}

std::uint64_t LengthFieldCodec::readLength(const char* field) const noexcept {
  std::uint64_t length = 0;
  const int step = options_.order == ByteOrder::Little ? -1 : 1;
  const char* byte = step < 0 ? field + options_.fieldBytes - 1 : field;  // the most significant
  for (int i = 0; i < options_.fieldBytes; ++i, byte += step) {
    length = length << 8 | static_cast<unsigned char>(*byte);
  }
  return length;
}

int LengthFieldCodec::shiftOf(int index) const noexcept {
  return 8 * (options_.order == ByteOrder::Little ? index : options_.fieldBytes - 1 - index);
}

}  // namespace gyre
