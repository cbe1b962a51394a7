#include "gyre/codec/FixedLengthCodec.h"

#include "gyre/base/Check.h"

namespace gyre {

FixedLengthCodec::FixedLengthCodec(std::size_t length) : length_(length) {
  GYRE_CHECK(length > 0, "frames of no length would never end");
}

FrameResult FixedLengthCodec::decode(std::string_view input, std::size_t) const noexcept {
  if (input.size() < length_) return {};
  return {FrameStatus::Complete, input.substr(0, length_), length_};
}

FrameStatus FixedLengthCodec::encode(std::string_view payload, Buffer& out) const {
  if (payload.size() != length_) return FrameStatus::BadContent;
  out.append(payload);
  return FrameStatus::Complete;
}

}  // namespace gyre
