// CloseReason: why a connection closed.
//
// docs/ENDINGS.md has the table of all ways to end a connection.
#pragma once

#include <cstdint>

#include "gyre/base/Export.h"

namespace gyre {

// X11 defines a macro None: where it is in the way, use NotClosed.
#pragma push_macro("None")
#undef None
enum class CloseReason : std::uint8_t {
  NotClosed,
  PeerClosed,      // the peer shut down its side, all was sent; but for what you sent after its end
                   // was known: that is lost, error() is EPIPE, and the peer saw a reset
  Shutdown,        // shutdown() here, all was sent
  Aborted,         // forceClose() or abort() here, or the loop ended
  Error,           // the socket failed: error() says how
  CallbackFailed,  // a callback threw
  OutputLimit,     // OutputPolicy::Close
  LingerTimeout,   // the peer did not answer our FIN in time, or sent too much after it
  OutOfMemory,
  IdleTimeout,       // ConnectionTimeouts::idle
  ReadIdleTimeout,   // ConnectionTimeouts::readIdle
  FirstByteTimeout,  // ConnectionTimeouts::firstByte
  WriteStall,        // ConnectionTimeouts::writeStall
  Deadline,          // TcpConnection::setDeadline()
  MemoryBudget,      // ServerLimits::memoryBudget: it held most
  Drained,           // ConnectionTimeouts::drainIdle
  None = NotClosed,
};
#pragma pop_macro("None")

}  // namespace gyre
