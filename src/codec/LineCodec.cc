#include "gyre/codec/LineCodec.h"

#include <algorithm>
#include <limits>

namespace gyre {
namespace {

constexpr std::size_t kEndingMax = 2;  // CR LF

}  // namespace

FrameResult LineCodec::decode(std::string_view input, std::size_t searched) const noexcept {
  const std::size_t room = std::numeric_limits<std::size_t>::max() - kEndingMax;
  // The last place where the end of an allowed line can be.
  const std::string_view window = input.substr(0, std::min(options_.maximum, room) + kEndingMax);
  const std::size_t end = window.find('\n', std::min(searched, window.size()));
  if (end == std::string_view::npos) return judgeUnended(window);
  std::string_view line = window.substr(0, end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (line.size() > options_.maximum) return {FrameStatus::TooLong};
  return {FrameStatus::Complete, line, end + 1};
}

// Refused as soon as no ending can make it an allowed line.
FrameResult LineCodec::judgeUnended(std::string_view input) const noexcept {
  const std::size_t ending = !input.empty() && input.back() == '\r' ? 1 : 0;
  if (input.size() - ending > options_.maximum) return {FrameStatus::TooLong};
  return {FrameStatus::Incomplete, {}, 0, input.size()};
}

FrameStatus LineCodec::encode(std::string_view line, Buffer& out) const {
  if (line.size() > options_.maximum) return FrameStatus::TooLong;
  if (line.find('\n') != std::string_view::npos || line.ends_with('\r')) {
    return FrameStatus::BadContent;
  }
  const std::string_view ending = options_.ending == LineEnding::Lf ? "\n" : "\r\n";
  out.ensureWritableBytes(line.size() + ending.size());
  out.append(line);
  out.append(ending);
  return FrameStatus::Complete;
}

}  // namespace gyre
