#include "sim/SimKernel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "sim/SimPoll.h"

namespace gyre {
namespace {

constexpr Duration kBackOff = std::chrono::milliseconds(100);

}  // namespace

SimKernel::SimKernel(SimWorld& world, SimTcp& tcp, LoopCounters& counters, std::string name)
    : world_(world),
      tcp_(tcp),
      counters_(counters),
      name_(std::move(name)),
      completions_(world),
      lender_(world.options().receiveBuffers, world.options().receiveBufferSize) {}

void SimKernel::note(std::string_view what, const SimOperation& operation) const {
  world_.note({.who = name_,
               .what = what,
               .operation = operation.number,
               .socket = operation.socket->number});
}

// --- Submission

void SimKernel::submit(SimOperation& operation) {
  counters_.submissions.add();
  operation.state = SimOperation::State::Armed;
  if (operation.kind == IoKind::Connect) beginConnect(operation);
  if (operation.state == SimOperation::State::Armed) advance(operation);
}

// Under way already, by a connect that was cancelled: that goes on. Failed: another try.
void SimKernel::beginConnect(SimOperation& operation) {
  SimSocket& socket = *operation.socket;
  if (socket.link && socket.link->isConnected(socket.side)) return fail(operation, EISCONN);
  const bool hasFailed =
      socket.link && (socket.link->connectError() != 0 || socket.link->isReset(socket.side));
  if (!socket.link || hasFailed) tcp_.connect(socket, operation.to);
}

void SimKernel::submitCancel(SimOperation& operation) {
  counters_.submissions.add();
  operation.cancelPending = true;
  operation.cancelAt = world_.now();
  if (world_.strikes(SimFault::CancelDelayed)) {
    operation.cancelAt += world_.between(Duration::zero(), std::chrono::milliseconds(10));
    cancels_.push_back(&operation);
  } else {
    lookAtCancel(operation);
  }
}

void SimKernel::lookAtCancel(SimOperation& operation) {
  operation.cancelPending = false;
  if (operation.state == SimOperation::State::Ended) {
    world_.count(SimFault::CancelTooLate);
  } else {
    note("cancel takes effect", operation);
    fail(operation, ECANCELED);
  }
}

// --- Taking up again

void SimKernel::takeUpAgain() {
  std::vector<SimOperation*> due;
  const auto isDue = [this](SimOperation* operation) {
    return operation->cancelAt <= world_.now();
  };
  std::copy_if(cancels_.begin(), cancels_.end(), std::back_inserter(due), isDue);
  std::erase_if(cancels_, isDue);
  for (SimOperation* operation : due) lookAtCancel(*operation);
  if (completions_.size() < world_.options().completionEntries) {
    resumeAll(interrupted_, interrupted_.size());
  }
  resumeAll(starved_, lender_.available());
  if (acceptsAreDue()) {
    pausedUntil_ = kForever;
    resumeAll(paused_, paused_.size());
  }
}

void SimKernel::resumeAll(std::vector<SimOperation*>& queue, std::size_t limit) {
  const auto count = static_cast<std::ptrdiff_t>(std::min(limit, queue.size()));
  const std::vector<SimOperation*> batch(queue.begin(), queue.begin() + count);
  queue.erase(queue.begin(), queue.begin() + count);
  for (SimOperation* operation : batch) {
    operation->state = SimOperation::State::Armed;
    counters_.rearms.add();
    counters_.submissions.add();
    note("is armed again", *operation);
    advance(*operation);
  }
}

bool SimKernel::acceptsAreDue() const {
  if (paused_.empty()) return false;
  return tcp_.closes() != closesSeen_ || pausedUntil_ <= world_.now();
}

bool SimKernel::hasWork() const {
  const bool roomForMore = completions_.size() < world_.options().completionEntries;
  if (roomForMore && !interrupted_.empty()) return true;
  if (lender_.available() > 0 && !starved_.empty()) return true;
  return acceptsAreDue() || nextTime() <= world_.now();
}

TimePoint SimKernel::nextTime() const {
  TimePoint next = std::min(completions_.nextTime(), pausedUntil_);
  for (const SimOperation* operation : cancels_) next = std::min(next, operation->cancelAt);
  return next;
}

void SimKernel::interrupt(SimOperation& operation, std::vector<SimOperation*>& queue) {
  if (operation.isCancelled) return fail(operation, ECANCELED);
  operation.state = SimOperation::State::Waiting;
  queue.push_back(&operation);
}

// --- Ends

void SimKernel::end(SimOperation& operation, IoResult result) {
  using State = SimOperation::State;
  if (operation.state == State::Waiting) {
    for (auto* queue : {&interrupted_, &starved_, &paused_}) std::erase(*queue, &operation);
    if (paused_.empty()) pausedUntil_ = kForever;
  }
  operation.state = State::Ended;
  if (operation.kind == IoKind::Send) {
    result.bytes = operation.output.done();
    if (result.error == ECANCELED && result.bytes > 0) world_.count(SimFault::CancelledSend);
  }
  completions_.push({.operation = &operation, .result = result});
}

void SimKernel::forget(SimOperation& operation) {
  if (!operation.cancelPending) return;
  std::erase(cancels_, &operation);
  world_.count(SimFault::CancelTooLate);
}

// --- Progress

void SimKernel::socketChanged(SimSocket& socket) {
  for (SimOperation* operation : socket.operations) {
    if (operation->state == SimOperation::State::Armed) advance(*operation);
  }
}

void SimKernel::advance(SimOperation& operation) {
  switch (operation.kind) {
    case IoKind::Idle: break;
    case IoKind::Accept: return advanceAccept(operation);
    case IoKind::Receive: return advanceReceive(operation);
    case IoKind::ReceiveInto: return advanceReceiveInto(operation);
    case IoKind::Send: return advanceSend(operation);
    case IoKind::Connect: return advanceConnect(operation);
    case IoKind::Poll: return advancePoll(operation);
    case IoKind::Read: return advanceRead(operation);
  }
}

bool SimKernel::overflows(SimOperation& operation) {
  const bool isFull = completions_.size() >= world_.options().completionEntries;
  if (isFull) world_.count(SimFault::CompletionsOverflowed);
  if (!isFull && !world_.strikes(SimFault::CompletionsOverflowed)) return false;
  counters_.overflows.add();
  interrupt(operation, interrupted_);
  return true;
}

// --- Accept

void SimKernel::advanceAccept(SimOperation& operation) {
  SimSocket& socket = *operation.socket;
  if (!socket.listener) return fail(operation, EINVAL);
  while (operation.state == SimOperation::State::Armed && !socket.listener->backlog.empty()) {
    acceptOne(operation);
  }
}

void SimKernel::acceptOne(SimOperation& operation) {
  if (overflows(operation)) return;
  if (!tcp_.hasDescriptor()) {
    world_.count(SimFault::AcceptNoDescriptors);
    return pauseAccept(operation, EMFILE);
  }
  if (world_.strikes(SimFault::AcceptNoDescriptors)) return pauseAccept(operation, ENFILE);
  if (world_.strikes(SimFault::AcceptNoMemory)) return pauseAccept(operation, ENOBUFS);

  auto& backlog = operation.socket->listener->backlog;
  const std::shared_ptr<SimLink> link = std::move(backlog.front());
  backlog.pop_front();
  if (isAborted(*link)) {
    counters_.acceptsAborted.add();
    return link->close(SimSide::Acceptor);
  }
  const SimSocket& accepted = tcp_.openAccepted(link, *operation.socket);
  note("accepts", operation);
  completions_.push(
      {.operation = &operation, .result = {.more = true, .socket = SocketHandle(accepted.number)}});
  if (world_.strikes(SimFault::StreamEnded)) interrupt(operation, interrupted_);
}

// A client that left is handed out with its error pending, as Linux does, or dropped.
bool SimKernel::isAborted(SimLink& link) {
  if (link.isReset(SimSide::Acceptor) && world_.random().chance(0.5)) {
    world_.count(SimFault::AcceptAborted);
    return true;
  }
  if (!world_.strikes(SimFault::AcceptAborted)) return false;
  link.cut(ECONNRESET);
  return true;
}

// Out of descriptors of its own, only a close helps; the system's and memory may come back unseen.
void SimKernel::pauseAccept(SimOperation& operation, int error) {
  (error == ENOBUFS ? counters_.acceptsNoMemory : counters_.acceptsNoDescriptors).add();
  interrupt(operation, paused_);
  if (paused_.empty()) return;
  closesSeen_ = tcp_.closes();
  if (error != EMFILE) pausedUntil_ = world_.now() + world_.skewed(kBackOff);
}

// --- Receive

void SimKernel::advanceReceive(SimOperation& operation) {
  SimSocket& socket = *operation.socket;
  if (!socket.link) return fail(operation, ENOTCONN);
  while (operation.state == SimOperation::State::Armed) {
    const std::size_t readable = socket.link->readable(socket.side);
    if (readable > 0) {
      receiveSome(operation, readable);
    } else if (socket.link->isAtEnd(socket.side)) {
      return fail(operation, socket.link->takeError(socket.side));
    } else {
      return;
    }
  }
}

void SimKernel::receiveSome(SimOperation& operation, std::size_t readable) {
  if (overflows(operation)) return;
  const bool isStarved = lender_.available() == 0;
  if (isStarved) world_.count(SimFault::ReceiveStarved);
  if (isStarved || world_.strikes(SimFault::ReceiveStarved)) {
    counters_.receivesStarved.add();
    return interrupt(operation, starved_);
  }
  SimSocket& socket = *operation.socket;
  const std::size_t size = splitReceive(operation, std::min(readable, lender_.bufferSize()));
  char* data = lender_.lend(size);
  socket.link->read(socket.side, {data, size});
  completions_.push({.operation = &operation,
                     .result = {.more = true, .bytes = size, .data = data},
                     .lent = data});
  if (world_.strikes(SimFault::StreamEnded)) interrupt(operation, interrupted_);
}

std::size_t SimKernel::splitReceive(SimOperation& operation, std::size_t size) {
  if (operation.isCancelled) world_.count(SimFault::CancelAfterBytes);
  if (size == 1 || !world_.strikes(SimFault::ReceiveSplit)) return size;
  return world_.random().chance(0.5) ? 1 : world_.random().between(1, size - 1);
}

void SimKernel::advanceReceiveInto(SimOperation& operation) {
  SimSocket& socket = *operation.socket;
  if (!socket.link) return fail(operation, ENOTCONN);
  const std::size_t readable = socket.link->readable(socket.side);
  if (readable > 0) {
    const std::size_t size = splitReceive(operation, std::min(readable, operation.into.size()));
    socket.link->read(socket.side, operation.into.first(size));
    end(operation, {.bytes = size});
  } else if (socket.link->isAtEnd(socket.side)) {
    fail(operation, socket.link->takeError(socket.side));
  }
}

// --- Send

void SimKernel::advanceSend(SimOperation& operation) {
  SimSocket& socket = *operation.socket;
  if (!socket.link) return fail(operation, EPIPE);
  SimOutput& output = operation.output;
  const int error = socket.link->takeWriteError(socket.side);
  if (error != 0) return fail(operation, error);
  if (world_.strikes(SimFault::SendNoMemory)) {
    return fail(operation, world_.random().chance(0.5) ? ENOBUFS : ENOMEM);
  }
  std::size_t size = std::min(socket.link->room(socket.side), output.total() - output.done());
  const bool isShort = size > 1 && world_.strikes(SimFault::SendContinued);
  if (isShort) size = world_.random().between(1, size - 1);
  output.writeTo(*socket.link, socket.side, size);
  if (output.done() == output.total()) return end(operation, {});
  if (output.isOf(lender_)) return fail(operation, EAGAIN);
  if (isShort) return interrupt(operation, interrupted_);
  if (world_.strikes(SimFault::ResetSending)) {
    world_.after(Duration::zero(), [link = socket.link] { link->cut(ECONNRESET); });
  }
}

void SimKernel::advanceConnect(SimOperation& operation) {
  SimLink& link = *operation.socket->link;
  if (link.isConnected(SimSide::Connector)) return end(operation, {});
  const int error =
      link.connectError() != 0 ? link.connectError() : link.takeError(SimSide::Connector);
  if (error != 0) fail(operation, error);
}

void SimKernel::advancePoll(SimOperation& operation) {
  const std::uint32_t events = simPollEvents(*operation.socket, operation.events);
  if (events != 0) end(operation, {.events = events});
}

void SimKernel::advanceRead(SimOperation& operation) {
  std::optional<std::uint64_t>& event = operation.socket->event;
  if (!event) return advanceReceiveInto(operation);
  if (operation.into.size() < sizeof *event) return fail(operation, EINVAL);
  if (*event == 0) return;
  std::memcpy(operation.into.data(), &*event, sizeof *event);
  *event = 0;
  end(operation, {.bytes = sizeof *event});
}

}  // namespace gyre
