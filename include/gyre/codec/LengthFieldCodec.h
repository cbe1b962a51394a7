// LengthFieldCodec: frames that begin with their length.
//
// Thread  A value; const calls from any thread.
#pragma once

#include "gyre/base/Buffer.h"
#include "gyre/connection/Frame.h"

namespace gyre {

enum class ByteOrder : std::uint8_t { Network, Little };
enum class LengthCounts : std::uint8_t { Payload, HeaderAndPayload };

struct LengthFieldOptions {
  int fieldBytes = 4;  // 1, 2, 3, 4 or 8
  ByteOrder order = ByteOrder::Network;
  LengthCounts counts = LengthCounts::Payload;
  // Bytes of payload. A peer makes us keep at most so many for a frame that never ends, and 64 KiB
  // is above the messages of nearly all protocols: whoever knows better says so.
  std::size_t maximum = 64 * 1024;
};

class GYRE_API LengthFieldCodec {
 public:
  // REQUIRES: a field of 1, 2, 3, 4 or 8 bytes.
  explicit LengthFieldCodec(const LengthFieldOptions& options = {});

  // A bad length is refused when the field is there, before a byte of the payload is.
  FrameResult decode(std::string_view input, std::size_t searched = 0) const noexcept;
  // Appends a frame. TooLong, and nothing appended, when the maximum or the field forbids it.
  [[nodiscard]] FrameStatus encode(std::string_view payload, Buffer& out) const;

  std::size_t maximum() const noexcept { return options_.maximum; }

 private:
  std::size_t headerSize() const noexcept { return static_cast<std::size_t>(options_.fieldBytes); }
  std::uint64_t lengthMax() const noexcept;
  std::uint64_t readLength(const char* field) const noexcept;
  int shiftOf(int index) const noexcept;

  LengthFieldOptions options_;
};

}  // namespace gyre
