// ConnectionProfile: what many connections have in common: callbacks, limits, a name.
//
// Thread  Written before the first connection gets it; then read by all loops.
// Owns    The callbacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "gyre/base/Export.h"
#include "gyre/base/RefPtr.h"
#include "gyre/base/Time.h"
#include "gyre/connection/Callbacks.h"

namespace gyre {

class ConnectionGroup;

// What happens when more than outputLimit bytes wait to be sent to a peer.
enum class OutputPolicy : std::uint8_t {
  Report,        // only the high-water callback tells
  PauseReading,  // nothing more is read from the peer until half of it is sent
  Close,         // the connection is aborted
};

// Zero: no limit. Each is exact to a tick of the loop (EventLoop::setTimeoutTick), costs nothing
// per message, and is judged only after all that had come by then was delivered: a process that was
// stopped for a while closes nobody for that.
struct ConnectionTimeouts {
  // No byte was received or sent for so long: closes in good order, or aborts while bytes wait to
  // be sent. In good order means that the close callback, with CloseReason::IdleTimeout, runs once
  // the peer has answered our FIN; when it does not, after `close` more, with LingerTimeout.
  TimeSpan idle{};
  // No byte was received for so long while the connection reads, whatever was sent meanwhile: ends
  // as `idle` does. The time counts anew when reading goes on after a pause, and no more after the
  // peer's FIN.
  TimeSpan readIdle{};
  // Nothing at all was received since the connection was established: closes in good order.
  TimeSpan firstByte{};
  // Bytes wait to be sent and the kernel took neither all nor 256 KiB of them for so long: aborts.
  TimeSpan writeStall{};
  // After our FIN: how long we wait for the peer's, discarding what it sends. Closing before it has
  // read everything would destroy what is on its way to it. Then: aborts.
  TimeSpan close = std::chrono::seconds(10);
  // While the server drains and has no DrainCallback: a connection between requests, which has
  // received and sent nothing for so long, closes gracefully (CloseReason::Drained). A connection
  // with unread input, with pending output or with reading stopped is amid a request. A protocol
  // whose answers take longer sets a DrainCallback, or more time here.
  TimeSpan drainIdle = std::chrono::seconds(1);
};

struct ConnectionOptions {
  // Bytes, queued to send. The callback comes each time they rise above it.
  std::size_t highWaterMark = 64 * 1024 * 1024;
  std::size_t outputLimit = 64 * 1024 * 1024;
  OutputPolicy outputPolicy = OutputPolicy::PauseReading;
  // Bytes, received but not retrieved; above it reading pauses until startRead(), or until a
  // message callback (of what had been taken by then) brings them down again.
  std::size_t inputLimit = 64 * 1024 * 1024;
  ConnectionTimeouts timeouts{};
  // After our FIN: how many bytes of the peer's are discarded before the connection is aborted.
  std::size_t lingerBytes = 64 * 1024 * 1024;
  // Frames that one iteration of the loop delivers of one connection (framed(), framedBy()), 1 to
  // 65535. What is left comes in the next one, after the others had their turn; reading pauses
  // meanwhile when that is more than 256 KiB, or inputLimit.
  std::uint16_t framesPerIteration = 512;
  // False: a new connection reads nothing before startRead().
  bool readOnEstablish = true;
};

// Made by TcpServer::makeProfile().
struct GYRE_API ConnectionProfile : public RefCounted {
  explicit ConnectionProfile(RefPtr<ConnectionGroup> owner);
  ~ConnectionProfile();

  std::string name;
  ConnectionOptions options;
  ConnectionCallback onConnection;
  MessageCallback onMessage;  // without one, what arrives is discarded
  WriteCompleteCallback onWriteComplete;
  HighWaterMarkCallback onHighWaterMark;
  HalfCloseCallback onHalfClose;
  CloseCallback onClose;
  DrainCallback onDrain;

  // Internal: whose connections these are.
  const RefPtr<ConnectionGroup> group;
};

}  // namespace gyre
