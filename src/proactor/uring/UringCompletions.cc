// What the io_uring engine makes of a completion, by kind of operation.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proactor/uring/UringProactor.h"

namespace gyre {
namespace {

// A stream is bulk after so many full buffers in a row with more behind each, and calm after so
// many small receives.
constexpr std::int16_t kFullForBulk = 4;
constexpr std::uint32_t kSmallForCalm = 8;

bool isRetry(int error) noexcept { return error == EINTR || error == EAGAIN; }

}  // namespace

void UringProactor::handleAccept(IoContext& context, const io_uring_cqe& cqe) {
  if (context.has(kPollFirst)) {
    context.clear(kPollFirst);
    return cqe.res == -ECANCELED || cqe.res >= 0 ? resume(context)
                                                 : finish(context, {.error = -cqe.res});
  }
  if (cqe.res < 0) return handleAcceptError(context, -cqe.res);
  pausedAccepts_.succeeded();
  counters_.accepts.add();
  counters_.completed(IoKind::Accept).add();
  context.complete({.more = true, .socket = SocketHandle(cqe.res)});
  if (!context.has(IoContext::kArmed)) resume(context);
}

void UringProactor::handleAcceptError(IoContext& context, int error) {
  if (isExhaustion(error)) {
    if (isCancelled(context)) return finish(context, {.error = ECANCELED});
    return pausedAccepts_.pause(context, error, now(), counters_);
  }
  if (isFaultOfPeer(error)) {
    counters_.acceptsAborted.add();
    return resume(context);
  }
  switch (error) {
    case EAGAIN:  // an inherited O_NONBLOCK listener on a kernel older than 6.10
      context.set(kPollFirst);
      return resume(context);
    case EINTR:
    case ECANCELED: return resume(context);
    default: return finish(context, {.error = error});
  }
}

void UringProactor::handleReceive(IoContext& context, const io_uring_cqe& cqe) {
  (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0 ? context.set(kDataWaits)
                                                : context.clear(kDataWaits);
  if (context.has(kBulk)) return handleBulk(context, cqe.res);
  const bool hasBuffer = (cqe.flags & IORING_CQE_F_BUFFER) != 0;
  const auto id = static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
  if (hasBuffer) buffers_.taken();
  const bool ends = cqe.res <= 0;
  if (!ends) {
    const auto bytes = static_cast<std::size_t>(cqe.res);
    counters_.bytesReceived.add(bytes);
    counters_.completed(IoKind::Receive).add();
    context.complete({.more = true, .bytes = bytes, .data = buffers_.data(id)});
  }
  if (hasBuffer) buffers_.recycle(id);
  if (trimDue_ == kForever && buffers_.hasGrown() && !options_.submissionPolling.enabled) {
    trimDue_ = wokenAt() + kTrimInterval;
  }
  if (ends) return handleReceiveEnd(context, -cqe.res);
  watchForBulk(context, static_cast<std::size_t>(cqe.res));
  if (!context.has(IoContext::kArmed)) resume(context);
}

void UringProactor::handleReceiveEnd(IoContext& context, int error) {
  switch (error) {
    case 0: return finish(context, {});  // end of stream
    case ENOBUFS:
      counters_.receivesStarved.add();
      if (isCancelled(context)) return finish(context, {.error = ECANCELED});
      return starve(context);
    case ECANCELED:
    case EINTR:
    case EAGAIN: return resume(context);
    default: return finish(context, {.error = error});
  }
}

// It has data: taken up again it tries at once. An endless stream would take all buffers each time,
// so it waits behind those that have had none.
void UringProactor::starve(IoContext& context) noexcept {
  const bool isSated = std::exchange(context.state().error, 0) != kNothingYet;
  context.set(kDataWaits);
  (isSated ? sated_ : starved_).push(context);
}

// The multishot is ended for it; what it had taken by then comes first, in order.
void UringProactor::watchForBulk(IoContext& context, std::size_t bytes) noexcept {
  std::int16_t& fullInARow = context.state().error;
  fullInARow = std::max<std::int16_t>(fullInARow, 0);
  if (bytes < buffers_.bufferSize() || !context.has(kDataWaits)) {
    fullInARow = 0;
    return;
  }
  if (++fullInARow < kFullForBulk) return;
  fullInARow = 0;
  if (!bulk_.hasFree() || context.has(kBulkWanted) || isCancelled(context)) return;
  context.set(kBulkWanted);
  if (context.has(IoContext::kArmed)) queueCancel(context);
}

void UringProactor::handleBulk(IoContext& context, int result) {
  BulkBuffers::Place& place = BulkBuffers::placeOf(context);
  if (result > 0) {
    const auto bytes = static_cast<std::size_t>(result);
    counters_.bytesReceived.add(bytes);
    counters_.completed(IoKind::Receive).add();
    place.isUsed = true;
    context.complete({.more = true, .bytes = bytes, .data = place.data});
    const bool isSmall = bytes < buffers_.bufferSize();
    place.smallInARow = isSmall ? place.smallInARow + 1 : 0;
    if (place.smallInARow >= kSmallForCalm) leaveBulk(context);
    return resume(context);
  }
  // Cancelled by the sweep, or by the user: resume() tells which.
  if (result == -ECANCELED) leaveBulk(context);
  return handleReceiveEnd(context, -result);
}

void UringProactor::leaveBulk(IoContext& context) noexcept {
  context.clear(kBulk);
  bulk_.takeBack(context);
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
  context.set(kRoomWanted);
  resume(context);
}

// Waits as handlePoll() does. What there is room for is sent at once: it is a lot, or it would have
// been taken before.
void UringProactor::handleRoom(IoContext& context, const io_uring_cqe& cqe) {
  std::int16_t& isFound = context.state().error;
  const bool goesOn = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (cqe.res > 0 && (cqe.res & ~POLLRDHUP) != 0 && isFound == 0) {
    isFound = 1;
    if (goesOn) return queueCancel(context);
  }
  if (goesOn) return;
  if (std::exchange(isFound, 0) == 0) {
    if (isCancelled(context)) return handleSent(context, -ECANCELED);
    if (cqe.res > 0) context.set(kPollMulti);
    return resume(context);
  }
  context.clear(kRoomWanted);
  handleSent(context, sendNow(context));
}

int UringProactor::sendNow(IoContext& context) noexcept {
  SendBlock& send = static_cast<Block*>(context.state().block)->send;
  send.message = {};
  send.message.msg_iov = send.slices.data() + send.first;
  send.message.msg_iovlen = send.count - send.first;
  counters_.directSends.add();
  const ssize_t sent =
      ::sendmsg(context.state().socket, &send.message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? -errno : static_cast<int>(sent);
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

// io_uring adds POLLRDHUP to every poll (IO_POLL_UNMASK), so a watch for a reset ends at once on a
// socket whose peer has half-closed. Then it waits as a multishot, which stays armed over events
// that nobody asked for, and is cancelled by the first that somebody did.
void UringProactor::handlePoll(IoContext& context, const io_uring_cqe& cqe) {
  IoContext::State& state = context.state();
  const bool goesOn = context.has(IoContext::kArmed) && (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (cqe.res > 0 && state.error == 0) {
    state.error = static_cast<std::int16_t>(cqe.res & static_cast<int>(state.events));
    if (goesOn && state.error != 0) return queueCancel(context);
  }
  if (goesOn) return;
  if (state.error != 0) {
    return finish(context, {.events = static_cast<std::uint32_t>(state.error)});
  }
  if (cqe.res < 0 && cqe.res != -ECANCELED && !isRetry(-cqe.res)) {
    return finish(context, {.error = -cqe.res});
  }
  if (cqe.res > 0) context.set(kPollMulti);
  resume(context);
}

void UringProactor::handleOnce(IoContext& context, int result) {
  const bool isReceive = context.kind() == IoKind::ReceiveInto || context.kind() == IoKind::Read;
  if (isReceive && isRetry(-result)) return resume(context);
  IoResult told;
  if (result < 0) told.error = -result;
  if (isReceive && result > 0) {
    told.bytes = static_cast<std::size_t>(result);
    if (context.kind() == IoKind::ReceiveInto) counters_.bytesReceived.add(told.bytes);
  }
  finish(context, told);
}

}  // namespace gyre
