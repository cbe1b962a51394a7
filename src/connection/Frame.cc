#include "gyre/connection/Frame.h"

namespace gyre {

std::string_view describe(FrameStatus status) noexcept {
  switch (status) {
    case FrameStatus::Complete: return "the frame is complete";
    case FrameStatus::Incomplete: return "the frame is not complete yet";
    case FrameStatus::TooLong: return "the frame is too long";
    case FrameStatus::WrongLength: return "the length of the frame is less than its header";
    case FrameStatus::BadContent: return "the payload cannot be a frame of this codec";
  }
  return "unknown";
}

}  // namespace gyre
