// ConnectionFilter: transforms the bytes between wire and user (TLS, PROXY header).
//
// Thread  The connection's loop.
// Owns    Its own state; the connection owns the filter.
// Ends    With the connection.
#pragma once

#include <string_view>

#include "gyre/base/Buffer.h"
#include "gyre/base/Export.h"

namespace gyre {

class GYRE_API ConnectionFilter {
 public:
  virtual ~ConnectionFilter() = default;

  // Bytes came from the wire: appends what they mean to `plain`, and what has to go back to the
  // peer at once (a handshake) to `wire`. False aborts the connection.
  virtual bool decode(std::string_view received, Buffer& plain, Buffer& wire) = 0;
  // The user sends: appends what goes on the wire. False aborts the connection.
  virtual bool encode(std::string_view plain, Buffer& wire) = 0;
  // Nothing more will be sent: appends what the protocol says last.
  virtual void finish(Buffer& wire) = 0;
};

}  // namespace gyre
