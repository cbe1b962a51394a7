// SocketCalls: the system calls of the epoll engine, none of which waits.
//
// Each takes EINTR as "again" and answers what the call returned, or -errno.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "gyre/base/InetAddress.h"
#include "proactor/epoll/Transfer.h"

namespace gyre {

// 0, or -errno.
int setNonBlocking(int fd) noexcept;
// A descriptor. REQUIRES: the listener is O_NONBLOCK.
int acceptNow(int listener) noexcept;
ssize_t receiveNow(int fd, char* into, std::size_t size) noexcept;
ssize_t sendNow(int fd, const Transfer& transfer) noexcept;
// For what is no socket, and may be blocking. REQUIRES: no other thread reads the file: what is
// readable could be gone before it is read.
ssize_t readNow(int fd, char* into, std::size_t size) noexcept;
// -EINPROGRESS while it goes on. REQUIRES: the socket is O_NONBLOCK.
int connectNow(int fd, const InetAddress& to) noexcept;
// How a connect that went on stands: 0, -EINPROGRESS, or -errno.
int connectResult(int fd) noexcept;
// What poll(2) says of it now: 0 when nothing.
std::uint32_t pollNow(int fd, std::uint32_t events) noexcept;
// True for TCP itself: for that alone a short receive proves that nothing was left. A unix socket
// also stops at a message with descriptors.
bool isPlainTcp(int fd) noexcept;

}  // namespace gyre
