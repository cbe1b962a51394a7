// ConnectOptions: how a client connects and connects again, and what it says when that fails.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "gyre/base/InetAddress.h"
#include "gyre/base/Time.h"
#include "gyre/proactor/SocketHandle.h"

namespace gyre {

enum class ClientState : std::uint8_t {
  Idle,
  Resolving,
  Connecting,
  Waiting,  // for the next round
  Connected,
  Disconnecting,
};

// After each failed round the delay grows by the factor; it begins anew when a connection has
// lasted for `maximum`. So a server that accepts and drops at once is not hammered either.
struct BackoffOptions {
  TimeSpan initial = std::chrono::milliseconds(500);  // above zero
  // Not below initial. Zero: no maximum; then only connect() begins anew.
  TimeSpan maximum = std::chrono::seconds(30);
  double factor = 2;
  // 0..1: this part of each delay is left to chance, so that the clients of a server that was
  // restarted do not all come back at the same instant.
  double jitter = 0.5;
  // Rounds that may fail in a row; 0: no limit.
  int attempts = 0;
};

struct ConnectOptions {
  // For a round: all addresses of a name together, the look-up not counted (ResolverOptions has its
  // own). Zero: no limit but the kernel's own, which is two minutes for each address with TCP, and
  // none for a unix socket with a full backlog.
  TimeSpan timeout = std::chrono::seconds(10);
  // How long an address is tried alone; then the next one is tried beside it (RFC 8305, section 5).
  // Zero: no limit, the next one is tried only when all before it have failed.
  TimeSpan attemptDelay = std::chrono::milliseconds(250);
  BackoffOptions backoff;
  // Runs with each new socket before it connects: binds it to a local address, sets options. With
  // the kernel's engines SocketHandle::value() is the descriptor. An errno value other than 0 fails
  // the attempt.
  std::function<int(SocketHandle)> prepareSocket;
};

// An address that could not be connected to, or a name that could not be resolved.
struct ConnectFailure {
  InetAddress address;      // unspecified when the name was not resolved
  std::error_code error;    // ETIMEDOUT: not within the timeout; ECONNREFUSED also for oneself
  std::string_view reason;  // cause and cure in words, lives for ever
  int round = 1;            // of those that failed in a row
  // When the next round begins. Zero: this one goes on, with other addresses of the name. None:
  // never.
  std::optional<std::chrono::milliseconds> retryAfter;
};

// On the client's loop, never inside the user's own call. What it throws is logged and counted.
// Without one a failure is logged.
using ConnectFailedCallback = std::function<void(const ConnectFailure&)>;

}  // namespace gyre
