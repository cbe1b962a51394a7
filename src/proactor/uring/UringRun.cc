// One run of the io_uring engine: submit, wait, copy out, dispatch.
#include <algorithm>
#include <utility>

#include "proactor/uring/UringProactor.h"

namespace gyre {

void UringProactor::run(TimePoint deadline) noexcept {
  GYRE_CHECK(!running_, "Proactor::run was called from a handler");
  running_ = true;
  loans_.beginRun();
  waitForCompletions(prepare() ? kNoWait : deadline);
  dispatch();
  endRun();
  running_ = false;
}

void UringProactor::endRun() noexcept {
  const bool isLeft = !starved_.isEmpty() || !sated_.isEmpty() || !backlog_.isEmpty() ||
                      ring_.hasCompletions() || ring_.hasOverflow() || ring_.isHolding();
  isLeft ? endRunBehind(options_.receiveBuffers) : Proactor::endRun();
}

// True when handlers ran.
bool UringProactor::prepare() {
  if (cancelledQueued_) {
    cancelledQueued_ = false;
    const auto ends = [this](const IoContext& context) { return isCancelled(context); };
    starved_.moveIf(ends, failed_);
    sated_.moveIf(ends, failed_);
  }
  resumeAccepts();
  const bool hasDelivered = deliverFailed();
  if (wokenAt() >= trimDue_) trimBuffers();
  buffers_.publish();
  resumeStarved();
  return hasDelivered;
}

bool UringProactor::deliverFailed() {
  const bool isEmpty = failed_.isEmpty();
  for (std::size_t left = failed_.size(); left > 0; --left) {
    IoContext& context = *failed_.pop();
    const int error = failureOf(context);
    finish(context, {.error = error != 0 ? error : ECANCELED});
  }
  return !isEmpty;
}

void UringProactor::resumeAccepts() {
  if (pausedAccepts_.isEmpty()) return;
  IoQueue due;
  pausedAccepts_.takeDue(now(), due);
  while (IoContext* context = due.pop()) {
    if (isCancelled(*context)) {
      failed_.push(*context);
    } else {
      resume(*context);
    }
  }
}

// At most as many as there are buffers: each could take one, and the others would only fail again.
void UringProactor::resumeStarved() noexcept {
  if (starved_.isEmpty() && sated_.isEmpty()) return;
  if (buffers_.grow()) buffers_.publish();
  for (std::uint32_t left = buffers_.available(); left > 0; --left) {
    IoContext* context = starved_.isEmpty() ? sated_.pop() : starved_.pop();
    if (context == nullptr) return;
    resume(*context);
  }
}

// The kernel fills buffers inside our own enter only, so those whose bytes have been dispatched are
// empty; not so under SQPOLL, where its thread may fill one now.
void UringProactor::trimBuffers() noexcept {
  const std::uint64_t received = counters_.bytesReceived.get();
  const bool isInUse = std::exchange(receivedBytes_, received) != received || buffers_.hasKept() ||
                       ring_.hasCompletions() || ring_.isHolding() || !backlog_.isEmpty();
  if (!isInUse) buffers_.giveBackPages();
  // Later in every case: a due time that stays in the past would let no wait begin.
  trimDue_ = isInUse ? now() + kTrimInterval : kForever;
}

bool UringProactor::mustNotWait() const noexcept {
  if (cancelledQueued_ || !failed_.isEmpty() || !backlog_.isEmpty()) return true;
  // Starved receives go on in the next round, once these have shown how many buffers they took.
  return (!starved_.isEmpty() || !sated_.isEmpty()) && buffers_.available() > 0;
}

void UringProactor::waitForCompletions(TimePoint deadline) {
  deadline = std::min({deadline, pausedAccepts_.deadline(), trimDue_});
  noteBusy();
  int result = 0;
  if (deadline != kNoWait && deadline <= wokenAt()) {
    result = takeAll();
  } else if (deadline != kNoWait && !mustNotWait() && beginSleep()) {
    result = sleepUntil(deadline);
  } else {
    counters_.enters.add();
    result = ring_.enter(0, std::chrono::nanoseconds::zero());
  }
  endSleep();
  // EAGAIN and EBUSY ask to reap first, which comes next; what was not submitted stays queued.
  GYRE_CHECK(
      result == 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY || result == -ENOMEM,
      "io_uring_enter failed");
}

// Until a completion is there or the time has come. A signal is no reason to return early.
int UringProactor::sleepUntil(TimePoint deadline) noexcept {
  int result = 0;
  do {
    auto timeout = std::chrono::nanoseconds::max();
    if (deadline != kForever) timeout = deadline - now();
    if (timeout <= std::chrono::nanoseconds::zero()) return takeAll();
    counters_.enters.add();
    result = ring_.enter(1, timeout);
  } while (result == -EINTR && !ring_.hasCompletions());
  return result;
}

// The time is taken before: whatever came by then is among it, however long we are kept from
// running afterwards.
int UringProactor::takeAll() noexcept {
  if (options_.submissionPolling.enabled) return askPoller();
  const TimePoint time = now();
  counters_.enters.add();
  const int result = ring_.enterForAll();
  if (result == 0 && !ring_.hasQueued()) noteTaken(time);
  return result;
}

std::size_t UringProactor::takeBatch() noexcept {
  return backlog_.isEmpty() ? ring_.take(batch_) : backlog_.take(batch_);
}

// Completions are copied out, the head is advanced, then handlers run. Bounded by what one queue
// holds, so that timers and functors have their turn.
void UringProactor::dispatch() {
  std::size_t left = std::max<std::size_t>(ring_.grant().completionEntries, kBatch);
  while (left > 0) {
    batchSize_ = takeBatch();
    for (std::size_t i = 0; i < batchSize_; ++i) dispatchOne(batch_[i]);
    buffers_.publish();
    if (batchSize_ < kBatch && backlog_.isEmpty()) {
      if (!ring_.hasOverflow()) break;
      flushOverflow();
    }
    left -= std::min(left, std::max<std::size_t>(batchSize_, 1));
  }
}

// The kernel kept completions that had no place, and ended the multishots they belong to.
void UringProactor::flushOverflow() noexcept {
  counters_.overflows.add();
  counters_.enters.add();
  ring_.enter(0, std::chrono::nanoseconds::zero());
}

void UringProactor::dispatchOne(const io_uring_cqe& cqe) {
  // A cancel's own completion (ENOENT and EALREADY are races), or that of a marker.
  if (cqe.user_data <= kMarker) return handleMarker(cqe.user_data);
  poller_.isQuiet = false;
  IoContext& context = *reinterpret_cast<IoContext*>(cqe.user_data);
  GYRE_CHECK(cqe.res != -EFAULT,
             "the kernel was given memory that is gone: it was freed in flight");
  // F_MORE is the only truth about life, whatever the result says.
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) context.clear(IoContext::kArmed);
  if (&context == &wakeContext_) return armWake();
  switch (context.kind()) {
    case IoKind::Accept: return handleAccept(context, cqe);
    case IoKind::Receive: return handleReceive(context, cqe);
    case IoKind::Send: return handleSend(context, cqe);
    case IoKind::Poll: return handlePoll(context, cqe);
    default: return handleOnce(context, cqe.res);
  }
}

void UringProactor::handleWake(IoContext&, const IoResult&) noexcept {}

}  // namespace gyre
