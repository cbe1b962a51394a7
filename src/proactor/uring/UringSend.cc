// One send of the io_uring engine, from the first submission to the last byte.
//
// It never waits inside the kernel. io_uring adds POLLRDHUP to the poll of a send that found no
// room, so that of one to a peer that has half-closed is always ready, the send fails again, and
// after 128 rounds it blocks in a worker thread: with as many slow readers as there may be workers
// no other one goes on.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proactor/uring/UringProactor.h"

namespace gyre {

void UringProactor::armSend(IoContext& context) noexcept {
  if (context.has(kRoomWanted)) return queuePoll(context, POLLOUT);
  SendBlock& send = static_cast<Block*>(context.state().block)->send;
  io_uring_sqe& sqe = nextSqe(context, send.count == 1 ? IORING_OP_SEND : IORING_OP_SENDMSG);
  if (send.count == 1) {
    sqe.addr = reinterpret_cast<std::uint64_t>(send.slices[0].iov_base);
    sqe.len = static_cast<std::uint32_t>(send.slices[0].iov_len);
  } else {
    send.message = {};
    send.message.msg_iov = send.slices.data();
    send.message.msg_iovlen = send.count;
    sqe.addr = reinterpret_cast<std::uint64_t>(&send.message);
    sqe.len = 1;
  }
  // NOSIGNAL, because a SIGPIPE would end the process.
  sqe.msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT;
}

void UringProactor::handleSend(IoContext& context, const io_uring_cqe& cqe) {
  if (context.has(kRoomWanted)) return handleRoom(context, cqe);
  handleSent(context, cqe.res);
}

void UringProactor::handleSent(IoContext& context, int result) {
  SendBlock& send = static_cast<Block*>(context.state().block)->send;
  if (result > 0) {
    send.done += static_cast<std::size_t>(result);
    counters_.bytesSent.add(static_cast<std::size_t>(result));
  }
  const bool isRetriable = result > 0 || isRetry(-result) || result == -ECANCELED;
  if (send.done == send.total || !isRetriable || isCancelled(context)) {
    int error = 0;
    if (send.done != send.total) error = result < 0 ? -result : ECANCELED;
    return finish(context, {.error = error, .bytes = send.done});
  }
  // Short, and nobody asked for an end: go on behind what was taken, when there is room.
  send.skip(static_cast<std::size_t>(std::max(result, 0)));
  if (isOfLent(send)) return finish(context, {.error = EAGAIN, .bytes = send.done});
  context.set(kRoomWanted);
  resume(context);
}

// What there is room for is sent at once: it is a lot, or it would have
// been taken before.
void UringProactor::handleRoom(IoContext& context, const io_uring_cqe& cqe) {
  if (pollGoesOn(context, cqe, POLLOUT | POLLERR | POLLHUP | POLLNVAL)) return;
  const bool hasRoom = std::exchange(context.state().error, 0) != 0;
  if (isCancelled(context)) return handleSent(context, -ECANCELED);
  if (hasRoom) {
    context.clear(kRoomWanted);
    return handleSent(context, sendNow(context));
  }
  if (cqe.res < 0) return handleSent(context, cqe.res);
  context.set(kPollMulti);
  resume(context);
}

int UringProactor::sendNow(IoContext& context) noexcept {
  SendBlock& send = static_cast<Block*>(context.state().block)->send;
  send.message = {};
  send.message.msg_iov = send.slices.data() + send.first;
  send.message.msg_iovlen = send.count - send.first;
  counters_.directSends.add();
  if (ring_.sendLimit(1) == 0) return -EAGAIN;
  const ssize_t sent =
      ::sendmsg(context.state().socket, &send.message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? -errno : static_cast<int>(sent);
}

// Whether a receive buffer would have to wait with it. Also that of bytes which have been sent: its
// owner hears of that only when the send ends.
bool UringProactor::isOfLent(const SendBlock& send) const noexcept {
  if (!buffers_.hasKept()) return false;
  for (std::uint32_t i = 0; i < send.count; ++i) {
    if (buffers_.contains(send.byteOf(i))) return true;
  }
  return false;
}

void UringProactor::noteLoans(const SendBlock& send,
                              void (LoanCheck::*note)(std::uint16_t) noexcept) noexcept {
  if (!LoanCheck::kIsOn || !buffers_.hasKept()) return;
  for (std::uint32_t i = 0; i < send.count; ++i) {
    const char* byte = send.byteOf(i);
    if (buffers_.contains(byte)) (loans_.*note)(buffers_.idOf(byte));
  }
}

void UringProactor::SendBlock::skip(std::size_t bytes) noexcept {
  while (bytes > 0) {
    iovec& slice = slices[first];
    const std::size_t step = std::min(bytes, slice.iov_len);
    slice.iov_base = static_cast<char*>(slice.iov_base) + step;
    slice.iov_len -= step;
    bytes -= step;
    if (slice.iov_len == 0) ++first;
  }
}

}  // namespace gyre
