// Callbacks: the types of all callbacks, and the thread each runs on.
//
// All of them run on the loop of the connection, never inside the user's own call, never under a
// lock. One that throws aborts its connection, is logged and counted, and harms nothing else.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "gyre/base/Buffer.h"
#include "gyre/base/InetAddress.h"

namespace gyre {

class TcpConnection;
using TcpConnectionPtr = std::shared_ptr<TcpConnection>;

// Once when the connection is up (conn->connected()) and once when it is down.
using ConnectionCallback = std::function<void(const TcpConnectionPtr&)>;
// Bytes have arrived. What is not retrieved is kept and offered again with the next ones. The
// buffer is valid until the callback returns; it may be a window on lent memory, so what is to be
// kept is moved or copied out.
using MessageCallback = std::function<void(const TcpConnectionPtr&, Buffer&)>;
// All that was sent has been handed to the kernel.
using WriteCompleteCallback = std::function<void(const TcpConnectionPtr&)>;
// The bytes waiting to be sent have risen above the high-water mark.
using HighWaterMarkCallback = std::function<void(const TcpConnectionPtr&, std::size_t bytesQueued)>;
// The peer has shut down its sending side, and all it sent has been delivered. Whoever sets this
// decides when to close; without it the connection closes once all is sent.
using HalfCloseCallback = std::function<void(const TcpConnectionPtr&)>;
// The connection is closed. The last callback; closeReason() and error() say why.
using CloseCallback = std::function<void(const TcpConnectionPtr&)>;

// The server drains: the user says goodbye, and calls shutdown() when he is done with it. Without
// this callback the connection closes when it pauses (ConnectionTimeouts::drainIdle).
using DrainCallback = std::function<void(const TcpConnectionPtr&)>;

// On the loop that accepts, before there is a connection: false closes the socket at once.
using AcceptFilter = std::function<bool(const InetAddress& peer)>;
// On the base loop: which loop the connection goes to, 0 to loops - 1.
using PlacementCallback = std::function<std::size_t(const InetAddress& peer, std::size_t loops)>;

// On the base loop: accepting on this listener (its index, as for listenAddress) has failed for
// good, by this errno value, and the listener is closed; the others go on. EINVAL: somebody has
// shut it down, as another process that shares it may.
using ListenerFailedCallback = std::function<void(std::size_t listener, int error)>;

}  // namespace gyre
