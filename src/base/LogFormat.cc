#include "base/LogFormat.h"

#include <iterator>

namespace gyre {

void logFormatted(LogLevel level, fmt::string_view format, fmt::format_args args) noexcept {
  try {
    fmt::memory_buffer text;
    fmt::vformat_to(std::back_inserter(text), format, args);
    log(level, {text.data(), text.size()});
  } catch (...) {
    log(level, {format.data(), format.size()});
  }
}

}  // namespace gyre
