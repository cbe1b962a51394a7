#include "base/CallOrder.h"

#include <array>
#include <cstdio>

#include "gyre/base/Check.h"

namespace gyre {

void calledTooLate(const char* call, const char* event, const char* instead) noexcept {
  std::array<char, 300> text;
  std::snprintf(text.data(), text.size(), "%s was called after %s: %s", call, event, instead);
  checkFailed(__FILE__, __LINE__, "the order of calls", text.data());
}

}  // namespace gyre
