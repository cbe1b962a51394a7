// ConnectionExtras: internal: what few connections have, or have for a while only.
//
// And the types by which a connection speaks of itself.
//
// Thread  The connection's loop.
#pragma once

#include <any>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "gyre/base/Buffer.h"
#include "gyre/base/Export.h"
#include "gyre/base/RefPtr.h"
#include "gyre/connection/CloseReason.h"
#include "gyre/connection/ConnectionFilter.h"
#include "gyre/connection/ConnectionProfile.h"
#include "gyre/connection/Frame.h"
#include "gyre/proactor/Proactor.h"

namespace gyre {

// What a callback of the user's reports.
enum class ConnectionNotice : std::uint8_t {
  Up,
  Message,
  WriteComplete,
  HighWater,
  HalfClose,
  Drain,
  Closed,
};

struct ConnectionTimeout {
  TimePoint due;
  CloseReason reason;
};

struct ConnectionExtras {
  Buffer unread;  // received, and left by the message callback
  std::any context;
  std::unique_ptr<ConnectionFilter> filter;
  std::vector<RefPtr<ConnectionProfile>> retired;  // a callback of it may still be running
  std::optional<ConnectionTimeouts> timeouts;
  // Since when nothing was received (sent), where that is longer ago than a CoarseTime can say.
  TimePoint receivedLongAgo{};
  TimePoint sentLongAgo{};
  TimePoint readingSince{};        // after a pause, where readIdle asks for it
  std::size_t bytesDiscarded = 0;  // after our FIN
  FrameProgress frames;
  bool isPinned = false;  // the user was given a reference to the context

  bool isEmpty() const noexcept;
};

}  // namespace gyre
