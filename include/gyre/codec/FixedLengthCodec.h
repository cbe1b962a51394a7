// FixedLengthCodec: frames that all have the same length.
//
// Thread  A value; const calls from any thread.
#pragma once

#include "gyre/base/Buffer.h"
#include "gyre/connection/Frame.h"

namespace gyre {

class GYRE_API FixedLengthCodec {
 public:
  // REQUIRES: length > 0.
  explicit FixedLengthCodec(std::size_t length);

  FrameResult decode(std::string_view input, std::size_t searched = 0) const noexcept;
  // Appends a frame. BadContent, and nothing appended, when the payload has another length.
  [[nodiscard]] FrameStatus encode(std::string_view payload, Buffer& out) const;

  std::size_t length() const noexcept { return length_; }

 private:
  std::size_t length_;
};

}  // namespace gyre
