// FrameReader: puts a codec on a connection: frames instead of bytes.
//
//   server.setMessageCallback(gyre::framed(gyre::LineCodec(),
//       [](const gyre::TcpConnectionPtr& connection, std::string_view line) { ... }));
//
// The callback gets every frame that is there, in order, as a window that is valid until it
// returns. It may close, throw, stop reading or switch the profile in the middle of a batch: no
// further frame is delivered then. What was not delivered waits for startRead(), or goes to the
// message callback of the new profile.
//
// One iteration of the loop delivers ConnectionOptions::framesPerIteration of a connection at most.
// What is left waits for the next one, in order and without a new arrival; the other connections
// are served in between, and reading pauses when much is left.
//
// A bad frame ends the connection: at once, CloseReason::Error, error() EMSGSIZE for TooLong and
// EBADMSG otherwise, and the log says which. Who would rather say something first sets onBadFrame,
// sends an answer and calls shutdown(); what was sent until then still arrives.
//
// Thread  The callback it makes runs on each connection's loop and keeps its state there, so one
//         serves all connections of a server.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "gyre/base/Export.h"
#include "gyre/connection/Callbacks.h"
#include "gyre/connection/Frame.h"

namespace gyre {

using FrameCallback = std::function<void(const TcpConnectionPtr&, std::string_view frame)>;
// The connection is closed when it returns, unless it has begun to close by shutdown().
using BadFrameCallback = std::function<void(const TcpConnectionPtr&, FrameStatus why)>;
using FrameDecoder = std::function<FrameResult(std::string_view input, std::size_t searched)>;

// A frame can be no longer than ConnectionOptions::inputLimit: what is not read is never complete.
GYRE_API MessageCallback framedBy(FrameDecoder decoder, FrameCallback onFrame,
                                  BadFrameCallback onBadFrame = {});

template <typename Codec>
MessageCallback framed(Codec codec, FrameCallback onFrame, BadFrameCallback onBadFrame = {}) {
  return framedBy(
      [moved = std::move(codec)](std::string_view input, std::size_t searched) {
        return moved.decode(input, searched);
      },
      std::move(onFrame), std::move(onBadFrame));
}

}  // namespace gyre
