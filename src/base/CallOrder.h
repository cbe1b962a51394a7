// CallOrder: CHECKs that a call which says what is to be comes before it is.
#pragma once

#include "gyre/base/Export.h"

namespace gyre {

// Aborts and says "CALL was called after EVENT: ..." with what to do instead.
[[noreturn]] GYRE_API void calledTooLate(const char* call, const char* event,
                                         const char* instead) noexcept;

inline void checkCalledBefore(bool isBefore, const char* call, const char* event,
                              const char* instead = "call it before") {
  if (!isBefore) calledTooLate(call, event, instead);
}

}  // namespace gyre
