// Check: a broken promise ends the process at the place where it was broken.
//
// GYRE_CHECK is always on. GYRE_DCHECK vanishes where NDEBUG is defined; its condition is then
// compiled but not evaluated. The message is a const char* that says what was promised.
// The report is one writev to stderr and needs no memory, so it also works when malloc does not.
#pragma once

#include "gyre/base/Export.h"

namespace gyre {

// Prints "file:line: CHECK failed: condition: message" and aborts.
[[noreturn]] GYRE_API void checkFailed(const char* file, int line, const char* condition,
                                       const char* message) noexcept;

}  // namespace gyre

#define GYRE_CHECK(condition, message) \
  (__builtin_expect(!!(condition), 1)  \
       ? static_cast<void>(0)          \
       : ::gyre::checkFailed(__FILE__, __LINE__, #condition, message))

namespace gyre {
#ifdef NDEBUG
constexpr bool kDchecksOn = false;
#else
constexpr bool kDchecksOn = true;
#endif
}  // namespace gyre

#ifdef NDEBUG
#define GYRE_DCHECK(condition, message) static_cast<void>(sizeof(!!(condition)) + sizeof(message))
#else
#define GYRE_DCHECK(condition, message) GYRE_CHECK(condition, message)
#endif
