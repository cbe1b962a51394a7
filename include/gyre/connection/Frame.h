// Frame: what a codec says of the bytes at the front of a stream.
//
// A codec is a small value that cuts a stream of bytes into frames. It knows no connection and no
// loop and keeps no state of a stream, so that one serves any number of connections:
//
//   FrameResult decode(std::string_view input, std::size_t searched) const;
//
// looks at the first frame of `input`, of which earlier calls have searched so many bytes without
// finding its end. It allocates nothing, whatever the peer claims. FrameReader.h puts a codec on a
// connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gyre/base/Export.h"

namespace gyre {

// X11 defines a macro BadLength: where it is in the way, use WrongLength.
#pragma push_macro("BadLength")
#undef BadLength
enum class FrameStatus : std::uint8_t {
  Complete,     // a whole frame is there
  Incomplete,   // more bytes are needed
  TooLong,      // the frame is, or claims to be, longer than the codec's maximum
  WrongLength,  // the length field is less than the header that it counts
  BadContent,   // encode only: the payload cannot be a frame of this codec
  BadLength = WrongLength,
};
#pragma pop_macro("BadLength")

// "the frame is too long", ...
GYRE_API std::string_view describe(FrameStatus status) noexcept;

struct FrameResult {
  FrameStatus status = FrameStatus::Incomplete;
  std::string_view frame = {};  // Complete: the payload, a window on the input
  std::size_t consumed = 0;     // Complete: the bytes of the input that the frame takes
  std::size_t searched = 0;     // Incomplete: the bytes of the input not to be looked at again
};

// Internal: bytes of unread input in which a codec's reader has found no end of the frame.
struct FrameProgress {
  std::uint64_t reader = 0;
  std::size_t searched = 0;
};

}  // namespace gyre
