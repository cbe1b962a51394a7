// ResolveResult: what is asked of a NameResolver, and what comes of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include "gyre/base/Export.h"
#include "gyre/base/InetAddress.h"
#include "gyre/base/Time.h"

namespace gyre {

// X11 defines a macro BadName: where it is in the way, use InvalidName.
#pragma push_macro("BadName")
#undef BadName
enum class ResolveError : std::uint8_t {
  NotFound = 1,  // there is no such name, or it has no address
  InvalidName,   // it cannot be the name of a host
  TimedOut,      // no name server answered in time
  Unreachable,   // no name server can be reached
  ServerFailed,  // the name server could not or would not say
  BadAnswer,     // what it said makes no sense
  OutOfMemory,
  BadName = InvalidName,
};
#pragma pop_macro("BadName")

GYRE_API const std::error_category& resolveCategory() noexcept;
GYRE_API std::error_code make_error_code(ResolveError error) noexcept;

// Which addresses of a name are asked for.
enum class AddressFamily : std::uint8_t { Any, V4, V6 };

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};

struct ResolveResult {
  std::error_code error;  // none, or a ResolveError
  // To be tried in this order: IPv6 and IPv4 in turn, those without a route last. Empty exactly
  // after an error, and where resolveEach() has nothing to add.
  std::vector<InetAddress> addresses;
  bool isLast = true;  // false: resolveEach() will run its callback again
};

// On the loop, never inside the user's own call. What it throws is logged and counted.
using ResolveCallback = std::function<void(const ResolveResult&)>;

// Names a query, for cancelling it. X11 defines a macro None: where it is in the way, use NoQuery.
#pragma push_macro("None")
#undef None
enum class ResolveId : std::uint64_t { NoQuery, None = NoQuery };
#pragma pop_macro("None")

}  // namespace gyre

template <>
struct std::is_error_code_enum<gyre::ResolveError> : std::true_type {};
