#include "BenchWorker.h"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "EngineOption.h"

namespace gyre {

namespace {

// More at a time would overflow the backlog of many a server, and a lost SYN costs a second.
constexpr std::size_t kOpeningMax = 128;
constexpr std::chrono::milliseconds kRetryDelay{100};
// Of an open loop, in one iteration: a rate that is out of reach must not starve the loop.
constexpr int kDueMax = 1024;

LoopThreadOptions threadOptions(const BenchPlan& plan, std::size_t thread) {
  LoopThreadOptions options;
  options.proactor = proactorOptions(plan.engine);
  options.proactor.ringsPlanned = static_cast<std::uint32_t>(plan.threads) + 1;
  options.name = "bench-" + std::to_string(thread);
  return options;
}

// The kernel may wake a thread 50 µs late unless told otherwise: too coarse for a rate.
void wakeOnTime(EventLoop*) { ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

}  // namespace

BenchWorker::BenchWorker(const BenchPlan& plan, const BenchPayload& payload, BenchShare share,
                         EventCallback callback)
    : plan_(plan),
      callback_(std::move(callback)),
      ledger_(plan, payload, share),
      thread_(threadOptions(plan, share.thread), wakeOnTime) {
  loop_ = thread_.startLoop();
  surroundings_.emplace(BenchConnection::Surroundings{
      ledger_, *loop_,
      [this](BenchConnection& connection, BenchConnection::News news) { hear(connection, news); }});
  for (std::size_t i = 0; i < share.connections; ++i) connections_.emplace_back(*surroundings_, i);
}

void BenchWorker::hear(BenchConnection& connection, BenchConnection::News news) {
  switch (news) {
    case BenchConnection::News::Settled: return onSettled();
    case BenchConnection::News::Finished: return onFinished();
    case BenchConnection::News::Closed: return onClosed(connection, false);
    case BenchConnection::News::Failed: return onClosed(connection, true);
  }
}

// --- Opening

void BenchWorker::connectAll() {
  loop_->queueInLoop([this] {
    if (plan_.mode == BenchMode::Connect) return callback_(Event::Settled);
    openMore();
  });
}

void BenchWorker::openMore() {
  isOpeningMore_ = true;
  while (opening_ < kOpeningMax && nextToOpen_ < connections_.size()) {
    ++opening_;
    connections_[nextToOpen_++].open();
  }
  isOpeningMore_ = false;
  if (opening_ == 0) callback_(Event::Settled);
}

void BenchWorker::onSettled() {
  if (plan_.mode == BenchMode::Connect) return;
  --opening_;
  // A socket that cannot even be made has settled inside openMore().
  if (!isOpeningMore_) openMore();
}

// --- The run

void BenchWorker::start() {
  loop_->queueInLoop([this] {
    isSending_ = true;
    const TimePoint now = loop_->now();
    ledger_.start(now);
    for (BenchConnection& connection : connections_) {
      if (plan_.mode == BenchMode::Connect) {
        connection.open();
      } else {
        connection.start(now);
      }
    }
    if (plan_.mode == BenchMode::Open) sendDue();
  });
}

void BenchWorker::sendDue() {
  if (!isSending_) return;
  const TimePoint now = loop_->now();
  for (int i = 0; i < kDueMax && ledger_.slotTime(nextSlot_) <= now; ++i, ++nextSlot_) {
    connections_[nextSlot_ % connections_.size()].addDue();
  }
  loop_->runAt(ledger_.slotTime(nextSlot_), [this] { sendDue(); });
}

void BenchWorker::openWindow() {
  loop_->queueInLoop([this] {
    ledger_.openWindow(loop_->now());
    callback_(Event::Opened);
  });
}

void BenchWorker::closeWindow() {
  loop_->queueInLoop([this] {
    const TimePoint now = loop_->now();
    if (plan_.mode == BenchMode::Open) {
      sendDue();
      isSending_ = false;
      const std::uint64_t due = ledger_.slotsUntil(now);
      if (due > nextSlot_) ledger_.countFault(BenchFault::Unanswered, 0, due - nextSlot_);
    }
    ledger_.closeWindow(now);
    for (const BenchConnection& connection : connections_) {
      ledger_.tally().open += connection.isOpen();
    }
    callback_(Event::WindowClosed);
  });
}

// --- The end

void BenchWorker::finishUp() {
  loop_->queueInLoop([this] {
    isSending_ = false;
    for (BenchConnection& connection : connections_) connection.finishUp();
  });
}

void BenchWorker::onFinished() {
  if (++finished_ == connections_.size()) callback_(Event::Finished);
}

void BenchWorker::closeAll() {
  loop_->queueInLoop([this] {
    isClosing_ = true;
    for (BenchConnection& connection : connections_) closed_ += connection.isClosed();
    if (closed_ == connections_.size()) callback_(Event::Closed);
    for (BenchConnection& connection : connections_) connection.abandon();
  });
}

void BenchWorker::onClosed(BenchConnection& connection, bool hasFailed) {
  if (isClosing_) {
    if (++closed_ == connections_.size()) callback_(Event::Closed);
  } else if (plan_.mode == BenchMode::Connect && isSending_) {
    reopen(connection, hasFailed);
  } else if (++lost_ == connections_.size()) {
    callback_(Event::Lost);
  }
}

// After a failure, not at once; and not at all when nobody has ever answered.
void BenchWorker::reopen(BenchConnection& connection, bool hasFailed) {
  if (!hasFailed) return connection.open();
  if (ledger_.tally().connected == 0) {
    if (++lost_ == connections_.size()) callback_(Event::Lost);
    return;
  }
  loop_->runAfter(kRetryDelay, [this, &connection] {
    if (isSending_) connection.open();
  });
}

}  // namespace gyre
