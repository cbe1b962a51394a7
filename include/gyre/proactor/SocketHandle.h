// SocketHandle: an opaque name for a socket, given and taken back by a Proactor.
//
// Thread  A value; the socket behind it is used by one Proactor at a time.
// Owns    Nothing: whoever holds the handle closes it, once, through the Proactor.
// Ends    With Proactor::close. Only the engine knows whether a descriptor of the kernel stands
//         behind it, so close(2) is never called on it directly.
#pragma once

#include <cstdint>

#include "gyre/base/Export.h"

namespace gyre {

class SocketHandle {
 public:
  constexpr SocketHandle() noexcept = default;
  explicit constexpr SocketHandle(std::int32_t value) noexcept : value_(value) {}
  // An open that failed, carrying the errno value (> 0).
  static constexpr SocketHandle failed(int error) noexcept { return SocketHandle(-error); }

  constexpr bool isValid() const noexcept { return value_ >= 0; }
  // The errno value of a failed open, 0 for a valid handle.
  constexpr int error() const noexcept { return value_ < 0 ? -value_ : 0; }
  // The engine's own number. With the kernel's engines this is the file descriptor.
  constexpr std::int32_t value() const noexcept { return value_; }

  friend constexpr bool operator==(SocketHandle, SocketHandle) noexcept = default;

 private:
  static constexpr std::int32_t kNone = -9;  // -EBADF: a handle never opened

  std::int32_t value_ = kNone;
};

}  // namespace gyre
