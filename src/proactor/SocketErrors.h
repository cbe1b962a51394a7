// SocketErrors: the set-up errors of sockets as exceptions that name the cause and the cure.
#pragma once

#include <string>

#include "gyre/base/InetAddress.h"

namespace gyre {

// Throws std::system_error: "cannot listen on 127.0.0.1:80 (cure): Permission denied".
[[noreturn]] void throwListenError(int error, const InetAddress& address);
// Throws std::system_error: "what (cure): strerror".
[[noreturn]] void throwSetupError(int error, const std::string& what, const std::string& cure);

// What helps when the kernel gives no descriptor, or watches none more.
const char* descriptorCure(int error) noexcept;

}  // namespace gyre
