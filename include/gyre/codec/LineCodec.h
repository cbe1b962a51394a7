// LineCodec: frames that end with LF or CRLF.
//
// Thread  A value; const calls from any thread.
#pragma once

#include "gyre/base/Buffer.h"
#include "gyre/connection/Frame.h"

namespace gyre {

// What encode() writes; decode() takes both.
enum class LineEnding : std::uint8_t { Lf, CrLf };

struct LineOptions {
  LineEnding ending = LineEnding::Lf;
  // Bytes of a line without its ending. 8 KiB is what servers of text protocols commonly allow.
  std::size_t maximum = 8 * 1024;
};

class GYRE_API LineCodec {
 public:
  explicit LineCodec(const LineOptions& options = {}) noexcept : options_(options) {}

  // Each byte is searched once, and none beyond the maximum. The frame is the line without its
  // ending; a CR elsewhere is part of the line.
  FrameResult decode(std::string_view input, std::size_t searched = 0) const noexcept;
  // Appends a line. BadContent, and nothing appended, for a text that would be read as something
  // else: with an LF in it, or a CR at its end. TooLong likewise.
  [[nodiscard]] FrameStatus encode(std::string_view line, Buffer& out) const;

  std::size_t maximum() const noexcept { return options_.maximum; }

 private:
  FrameResult judgeUnended(std::string_view input) const noexcept;

  LineOptions options_;
};

}  // namespace gyre
