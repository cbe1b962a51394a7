// What the io_uring engine makes of a completion, by kind of operation.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proactor/uring/UringProactor.h"

namespace gyre {
void UringProactor::handleAccept(IoContext& context, const io_uring_cqe& cqe) {
  if (context.has(kPollFirst)) {
    context.clear(kPollFirst);
    return cqe.res == -ECANCELED || cqe.res >= 0 ? resume(context)
                                                 : finish(context, {.error = -cqe.res});
  }
  if (cqe.res < 0) return handleAcceptError(context, -cqe.res);
  pausedAccepts_.succeeded();
  descriptors_.note(cqe.res);
  counters_.accepts.add();
  counters_.completed(IoKind::Accept).add();
  context.complete({.more = true, .socket = SocketHandle(cqe.res)});
  if (!context.has(IoContext::kArmed)) return resume(context);
  if (descriptors_.isScarce()) acceptOneByOne(context);
}

// Its end arms it again: for one, so that closing keeps up with accepting.
void UringProactor::acceptOneByOne(IoContext& context) noexcept {
  if (context.has(kOneByOne)) return;
  context.set(kOneByOne);
  queueCancel(context);
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
    case EAGAIN:  // kShared, or an O_NONBLOCK listener on a kernel older than 6.10
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
    lent_ = {buffers_.data(id), bytes};
    context.complete({.more = true, .bytes = bytes, .data = lent_.data()});
    lent_ = {};
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

// io_uring adds POLLRDHUP to every poll (IO_POLL_UNMASK), so a watch for a reset ends at once on a
// socket whose peer has half-closed. Then it waits as a multishot, which stays armed over events
// that nobody asked for, and is cancelled by the first that somebody did.
bool UringProactor::pollGoesOn(IoContext& context, const io_uring_cqe& cqe,
                               std::uint32_t events) noexcept {
  std::int16_t& found = context.state().error;
  const bool goesOn = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (cqe.res > 0 && found == 0) {
    found = static_cast<std::int16_t>(cqe.res & static_cast<int>(events));
    if (goesOn && found != 0) queueCancel(context);
  }
  return goesOn;
}

void UringProactor::handlePoll(IoContext& context, const io_uring_cqe& cqe) {
  IoContext::State& state = context.state();
  if (pollGoesOn(context, cqe, state.events)) return;
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
