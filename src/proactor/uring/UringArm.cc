// How the io_uring engine hands operations to the kernel, the first time and again.
#include <poll.h>

#include <algorithm>

#include "proactor/uring/UringProactor.h"

namespace gyre {

void UringProactor::armAccept(IoContext& context) noexcept {
  context.clear(kOneByOne);
  if (context.has(kPollFirst)) {
    nextSqe(context, IORING_OP_POLL_ADD).poll32_events = POLLIN;
    return;
  }
  // No address: all shots of a multishot would share it.
  io_uring_sqe& sqe = nextSqe(context, IORING_OP_ACCEPT);
  sqe.accept_flags = SOCK_CLOEXEC;
  if (features_.multishotAccept && !descriptors_.isScarce()) {
    sqe.ioprio = IORING_ACCEPT_MULTISHOT;
  }
  if (context.has(kShared)) sqe.ioprio |= uapi::kAcceptDontWait;
}

void UringProactor::armReceive(IoContext& context) noexcept {
  if (context.has(kBulkWanted)) beginBulk(context);
  if (context.has(kBulk)) {
    nextSqe(context, IORING_OP_POLL_ADD).poll32_events = POLLIN;
    return;
  }
  context.state().error = kNothingYet;
  io_uring_sqe& sqe = nextSqe(context, IORING_OP_RECV);
  sqe.ioprio = IORING_RECV_MULTISHOT;
  if (context.has(kTakenUp) && !context.has(kDataWaits)) sqe.ioprio |= IORING_RECVSEND_POLL_FIRST;
  sqe.flags = IOSQE_BUFFER_SELECT;
  sqe.buf_group = BufferRing::kGroup;
  context.set(kTakenUp);
}

void UringProactor::armInto(IoContext& context) noexcept {
  const bool isSocket = context.kind() == IoKind::ReceiveInto;
  const iovec& buffer = static_cast<Block*>(context.state().block)->buffer;
  // OP_RECV on an eventfd is ENOTSOCK. An offset of -1 means "no position" to OP_READ.
  io_uring_sqe& sqe = nextSqe(context, isSocket ? IORING_OP_RECV : IORING_OP_READ);
  sqe.addr = reinterpret_cast<std::uint64_t>(buffer.iov_base);
  sqe.len = static_cast<std::uint32_t>(std::min<std::size_t>(buffer.iov_len, 1U << 30));
  if (!isSocket) sqe.off = ~std::uint64_t{0};
}

void UringProactor::armPoll(IoContext& context) noexcept {
  queuePoll(context, context.state().events);
}

void UringProactor::queuePoll(IoContext& context, std::uint32_t events) noexcept {
  io_uring_sqe& sqe = nextSqe(context, IORING_OP_POLL_ADD);
  sqe.poll32_events = events;
  if (context.has(kPollMulti)) sqe.len = IORING_POLL_ADD_MULTI;
}

void UringProactor::armWake() noexcept {
  io_uring_sqe& sqe = nextSqe();
  sqe.opcode = IORING_OP_READ;
  sqe.fd = wakeFd();
  sqe.user_data = reinterpret_cast<std::uint64_t>(&wakeContext_);
  sqe.addr = reinterpret_cast<std::uint64_t>(&wakeCount_);
  sqe.len = sizeof wakeCount_;
  sqe.off = ~std::uint64_t{0};
}

void UringProactor::resume(IoContext& context) {
  if (isCancelled(context)) return finish(context, {.error = ECANCELED});
  counters_.rearms.add();
  switch (context.kind()) {
    case IoKind::Accept: return armAccept(context);
    case IoKind::Receive: return armReceive(context);
    case IoKind::Send: return armSend(context);
    case IoKind::Poll: return armPoll(context);
    case IoKind::ReceiveInto:
    case IoKind::Read: return armInto(context);
    default: GYRE_CHECK(false, "an operation that cannot be taken up again was resumed");
  }
}

}  // namespace gyre
