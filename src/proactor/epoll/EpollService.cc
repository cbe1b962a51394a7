// EpollProactor at work on one descriptor.
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "proactor/epoll/EpollProactor.h"
#include "proactor/epoll/SocketCalls.h"

namespace gyre {
namespace {

// True when an edge may concern a poll for those events.
bool concerns(std::uint32_t wanted, std::uint32_t edges) noexcept {
  if ((wanted & ~EpollSet::kWatched) != 0) return edges != 0;  // POLLRDNORM and the like
  return (edges & (wanted | EPOLLERR | EPOLLHUP)) != 0;
}

// True when that receive has emptied the socket, so that what comes later is a new edge.
bool isEmptied(std::int32_t fd, Watch& watch) noexcept {
  if (watch.has(Watch::kReadToEnd)) return false;
  if (!watch.has(Watch::kProtocolKnown)) {
    watch.set(Watch::kProtocolKnown);
    watch.assign(Watch::kPlainTcp, isPlainTcp(fd) ? 1 : 0);
  }
  return watch.has(Watch::kPlainTcp);
}

}  // namespace

// `edges` is what epoll reported just now, 0 when there is other work to do. A handler may close
// the descriptor: then the rest is not this generation's.
void EpollProactor::serve(std::int32_t fd, Watch& watch, std::uint32_t edges) {
  if (watch.isIdle() || !enroll(fd, watch)) return;
  const std::uint16_t generation = watch.generation;
  if (watch.has(Watch::kCancelPending)) endCancelled(watch);
  if (watch.generation != generation) return;
  if (!watch.input.isEmpty() && watch.has(Watch::kReadable)) serveInput(fd, watch);
  if (watch.generation != generation) return;
  if (!watch.output.isEmpty() && watch.has(Watch::kWritable)) serveOutput(fd, watch);
  if (watch.generation != generation) return;
  if (!watch.polls.isEmpty()) checkPolls(fd, watch, edges);
}

// Puts it into the epoll set, at its first operation. When that fails, all operations end so: all
// of them are new.
bool EpollProactor::enroll(std::int32_t fd, Watch& watch) {
  if (watch.has(Watch::kRegistered)) return true;
  const int error = set_.add(fd, EpollSet::kWatched, watch.tag(fd));
  if (error != 0) {
    endAll(watch, error);
    return false;
  }
  // Nothing is known yet, so everything is worth one try.
  watch.set(Watch::kRegistered | Watch::kReadable | Watch::kWritable);
  return true;
}

void EpollProactor::endAll(Watch& watch, int error) {
  const std::uint16_t generation = watch.generation;
  for (OperationChain* chain : {&watch.input, &watch.output, &watch.polls}) {
    for (std::size_t left = chain->size(); left > 0; --left) {
      finish(*chain, *chain->head(), {.error = error});
      if (watch.generation != generation) return;
    }
  }
}

namespace {

// How a connect stands: an errno value, 0 when connected, EINPROGRESS while it goes on.
int connectError(IoContext& context) noexcept {
  const int error = context.state().error;
  return error == EINPROGRESS ? -connectResult(context.state().socket) : error;
}

// ECANCELED, unless it has come to something by now.
IoResult resultOfCancelled(IoContext& context) noexcept {
  if (context.kind() == IoKind::Send) {
    return {.error = ECANCELED, .bytes = transferOf(context).done};
  }
  if (context.kind() != IoKind::Connect) return {.error = ECANCELED};
  const int error = connectError(context);
  return {.error = error == EINPROGRESS ? ECANCELED : error};
}

}  // namespace

void EpollProactor::endCancelled(Watch& watch) {
  watch.clear(Watch::kCancelPending);
  const std::uint16_t generation = watch.generation;
  for (OperationChain* chain : {&watch.input, &watch.output, &watch.polls}) {
    while (IoContext* context = chain->findCancelled()) {
      finish(*chain, *context, resultOfCancelled(*context));
      if (watch.generation != generation) return;
    }
  }
}

// --- Input

void EpollProactor::serveInput(std::int32_t fd, Watch& watch) {
  IoContext& context = *watch.input.head();
  switch (context.kind()) {
    case IoKind::Accept: return acceptSome(fd, watch, context);
    case IoKind::Receive: return receiveSome(fd, watch, context);
    default: return fillTransfer(fd, watch, context);
  }
}

void EpollProactor::acceptSome(std::int32_t fd, Watch& watch, IoContext& context) {
  // Another process may have made it blocking since: then accept4 would keep the loop.
  const int error = setNonBlocking(fd);
  if (error < 0) return finish(watch.input, context, {.error = -error});
  for (int left = descriptors_.isScarce() ? 1 : kAcceptsPerTurn; left > 0; --left) {
    const int accepted = acceptNow(fd);
    if (accepted == -EAGAIN) return watch.clear(Watch::kReadable);
    if (accepted < 0) {
      if (survivesAcceptError(watch, context, -accepted)) continue;
      return;
    }
    pausedAccepts_.succeeded();
    descriptors_.note(accepted);
    counters_.accepts.add();
    deliver(context, {.more = true, .socket = SocketHandle(accepted)});
    if (context.isCancelRequested()) return;
  }
  watches_.pushWork(fd);
}

// False when the operation has ended, or is paused: it is in the chain no more.
bool EpollProactor::survivesAcceptError(Watch& watch, IoContext& context, int error) {
  if (isFaultOfPeer(error)) {
    counters_.acceptsAborted.add();
    return true;
  }
  if (isExhaustion(error)) {
    watch.input.remove(context);
    if (!watch.input.isEmpty()) watches_.pushWork(context.state().socket);
    pausedAccepts_.pause(context, error, now(), counters_);
  } else {
    finish(watch.input, context, {.error = error});
  }
  return false;
}

void EpollProactor::receiveSome(std::int32_t fd, Watch& watch, IoContext& context) {
  for (std::size_t left = kReceivesPerTurn; left > 0; --left) {
    const ssize_t received = receiveNow(fd, hot_.get(), hotSize_);
    if (received == -EAGAIN) return watch.clear(Watch::kReadable);
    if (received <= 0) {
      return finish(watch.input, context, {.error = static_cast<int>(-received)});
    }
    const auto bytes = static_cast<std::size_t>(received);
    if (bytes < hotSize_ && isEmptied(fd, watch)) watch.clear(Watch::kReadable);
    counters_.bytesReceived.add(bytes);
    deliver(context, {.more = true, .bytes = bytes, .data = hot_.get()});
    if (context.isCancelRequested() || !watch.has(Watch::kReadable)) return;
  }
  watches_.pushWork(fd);
}

void EpollProactor::fillTransfer(std::int32_t fd, Watch& watch, IoContext& context) {
  const iovec into = *transferOf(context).slices;
  const bool isSocket = context.kind() == IoKind::ReceiveInto;
  auto* data = static_cast<char*>(into.iov_base);
  const ssize_t done =
      isSocket ? receiveNow(fd, data, into.iov_len) : readNow(fd, data, into.iov_len);
  if (done == -EAGAIN) return watch.clear(Watch::kReadable);
  if (done < 0) return finish(watch.input, context, {.error = static_cast<int>(-done)});
  const auto bytes = static_cast<std::size_t>(done);
  if (isSocket) {
    if (bytes > 0 && bytes < into.iov_len && isEmptied(fd, watch)) watch.clear(Watch::kReadable);
    counters_.bytesReceived.add(bytes);
  }
  finish(watch.input, context, {.bytes = bytes});
}

// --- Output

void EpollProactor::serveOutput(std::int32_t fd, Watch& watch) {
  IoContext& context = *watch.output.head();
  context.kind() == IoKind::Send ? sendSome(fd, watch, context) : checkConnect(watch, context);
}

void EpollProactor::sendSome(std::int32_t fd, Watch& watch, IoContext& context) {
  Transfer& transfer = transferOf(context);
  while (transfer.count > 0) {
    const ssize_t sent = sendNow(fd, transfer);
    if (sent == -EAGAIN) {
      if (transfer.done > 0) counters_.rearms.add();
      return watch.clear(Watch::kWritable);
    }
    if (sent < 0) {
      return finish(watch.output, context,
                    {.error = static_cast<int>(-sent), .bytes = transfer.done});
    }
    counters_.bytesSent.add(static_cast<std::size_t>(sent));
    transfer.advance(static_cast<std::size_t>(sent));
  }
  finish(watch.output, context, {.bytes = transfer.done});
}

void EpollProactor::checkConnect(Watch& watch, IoContext& context) {
  const int error = connectError(context);
  if (error == EINPROGRESS) return watch.clear(Watch::kWritable);
  finish(watch.output, context, {.error = error});
}

// --- Polls

// An edge only says when to ask: poll(2) knows what is true by now.
void EpollProactor::checkPolls(std::int32_t fd, Watch& watch, std::uint32_t edges) {
  const std::uint16_t generation = watch.generation;
  for (std::size_t left = watch.polls.size(); left > 0; --left) {
    IoContext& context = watch.polls.pop();
    watch.polls.push(context);
    const std::uint32_t wanted = pollEvents(context);
    if (!context.has(kNewPoll) && !concerns(wanted, edges)) continue;
    context.clear(kNewPoll);
    const std::uint32_t events = pollNow(fd, wanted);
    if (events == 0) continue;
    finish(watch.polls, context, {.events = events});
    if (watch.generation != generation) return;
  }
}

}  // namespace gyre
