#include "gyre/base/Check.h"

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace gyre {
namespace {

iovec piece(const char* text, std::size_t size) {
  return {const_cast<char*>(text), size};  // writev only reads
}

iovec piece(const char* text) { return piece(text, std::strlen(text)); }

}  // namespace

void checkFailed(const char* file, int line, const char* condition, const char* message) noexcept {
  std::array<char, 12> digits;
  const char* digitsEnd = std::to_chars(digits.data(), digits.data() + digits.size(), line).ptr;
  const std::array<iovec, 8> report = {
      piece(file),
      piece(":"),
      piece(digits.data(), static_cast<std::size_t>(digitsEnd - digits.data())),
      piece(": CHECK failed: "),
      piece(condition),
      piece(": "),
      piece(message),
      piece("\n")};
  // A report that nobody reads must not keep the process alive.
  constexpr int kPatienceMillis = 1000;
  pollfd writable = {STDERR_FILENO, POLLOUT, 0};
  if (::poll(&writable, 1, kPatienceMillis) == 0) std::abort();
  while (::writev(STDERR_FILENO, report.data(), static_cast<int>(report.size())) < 0 &&
         errno == EINTR) {
  }
  std::abort();
}

}  // namespace gyre
