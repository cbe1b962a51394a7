#include "proactor/epoll/EpollProactor.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>

#include "proactor/SocketErrors.h"
#include "proactor/epoll/SocketCalls.h"

namespace gyre {
namespace {

// No descriptor's: the generation is 16 bits wide.
constexpr std::uint64_t kWakeTag = ~std::uint64_t{0};

}  // namespace

std::unique_ptr<Proactor> makeEpollProactor(const ProactorOptions& options) {
  return std::make_unique<EpollProactor>(options);
}

EpollProactor::EpollProactor(const ProactorOptions& options)
    : hotSize_(std::max<std::size_t>(options.hotBufferSize, 1)),
      hot_(new (std::nothrow) char[hotSize_]),
      pausedAccepts_(*this) {
  // Now, while it can be said: a loop without it would reset every client.
  if (hot_ == nullptr) {
    throwSetupError(
        ENOMEM, "no memory for a receive buffer of " + std::to_string(hotSize_) + " bytes",
        "raise RLIMIT_AS (ulimit -v), or ask for less (ProactorOptions::hotBufferSize)");
  }
  const auto& disabled = options.disabledFeatures;
  if (std::find(disabled.begin(), disabled.end(), "epoll-pwait2") != disabled.end()) {
    set_.useMilliseconds();
  }
  // Edge-triggered, so each wake() is an edge and nobody has to read the counter.
  const int error = set_.add(wakeFd(), EPOLLIN, kWakeTag);
  if (error != 0) throwSetupError(error, "epoll cannot watch an eventfd", descriptorCure(error));
}

int EpollProactor::socketFlags() const noexcept { return SOCK_NONBLOCK; }

// --- Verbs

void EpollProactor::accept(IoContext& context, SocketHandle listener) noexcept {
  Watch* watch = begin(context, IoKind::Accept, listener);
  if (watch == nullptr) return;
  const int error = setNonBlocking(listener.value());
  if (error < 0) return fail(context, -error);
  watch->set(Watch::kListener);
  descriptors_.note(listener.value());
  enqueue(watch->input, context);
}

void EpollProactor::receive(IoContext& context, SocketHandle socket) noexcept {
  Watch* watch = begin(context, IoKind::Receive, socket);
  if (watch != nullptr) enqueue(watch->input, context);
}

void EpollProactor::receiveInto(IoContext& context, SocketHandle socket,
                                std::span<char> into) noexcept {
  Watch* watch = begin(context, IoKind::ReceiveInto, socket);
  const IoSlice slice{into.data(), into.size()};
  if (watch != nullptr && giveTransfer(context, {&slice, 1})) enqueue(watch->input, context);
}

void EpollProactor::read(IoContext& context, SocketHandle handle, std::span<char> into) noexcept {
  Watch* watch = begin(context, IoKind::Read, handle);
  const IoSlice slice{into.data(), into.size()};
  if (watch != nullptr && giveTransfer(context, {&slice, 1})) enqueue(watch->input, context);
}

void EpollProactor::send(IoContext& context, SocketHandle socket,
                         std::span<const IoSlice> slices) noexcept {
  GYRE_CHECK(!slices.empty() && slices.size() <= kSendSlicesMax, "send takes 1 to 32 slices");
  Watch* watch = begin(context, IoKind::Send, socket);
  if (watch != nullptr && giveTransfer(context, slices)) enqueue(watch->output, context);
}

// The call itself does not wait and tells nobody, so it need not be put off, nor its address kept.
void EpollProactor::connect(IoContext& context, SocketHandle socket,
                            const InetAddress& to) noexcept {
  Watch* watch = begin(context, IoKind::Connect, socket);
  if (watch == nullptr) return;
  context.state().error = static_cast<std::int16_t>(-connectNow(socket.value(), to));
  watch->set(Watch::kWritable);  // to be looked at, whatever was known before
  enqueue(watch->output, context);
}

void EpollProactor::poll(IoContext& context, SocketHandle handle, std::uint32_t events) noexcept {
  Watch* watch = begin(context, IoKind::Poll, handle);
  if (watch == nullptr) return;
  setPollEvents(context, events);
  enqueue(watch->polls, context);
}

void EpollProactor::cancel(IoContext& context) noexcept {
  if (!context.isInFlight() || context.isCancelRequested()) return;
  context.set(IoContext::kCancelRequested);
  Watch* watch = watches_.find(context.state().socket);
  if (watch == nullptr) return;  // it failed for want of memory, and run() will say so
  watch->set(Watch::kCancelPending);
  watches_.pushWork(context.state().socket);
}

void EpollProactor::cancelAll(SocketHandle socket) noexcept {
  markCancelled(socket);
  Watch* watch = watches_.find(socket.value());
  if (watch == nullptr) return;
  // Paused accepts are in no chain: all of them come back, which costs the others one more try.
  if (watch->has(Watch::kListener)) resumeAccepts(kForever);
  for (OperationChain* chain : {&watch->input, &watch->output, &watch->polls}) {
    chain->requestCancel();
  }
  watch->set(Watch::kCancelPending);
  watches_.pushWork(socket.value());
}

// --- Starting and ending

// Null when it failed already: run() will say so.
Watch* EpollProactor::begin(IoContext& context, IoKind kind, SocketHandle socket) noexcept {
  const bool isBooked = beginOperation(context, kind, socket);
  counters_.submissions.add();
  Watch* watch = isBooked ? watches_.findOrGrow(socket.value()) : nullptr;
  if (watch == nullptr) fail(context, ENOMEM);
  return watch;
}

bool EpollProactor::giveTransfer(IoContext& context, std::span<const IoSlice> slices) noexcept {
  Transfer* transfer = transfers_.acquire(slices);
  if (transfer == nullptr) {
    fail(context, ENOMEM);
    return false;
  }
  context.state().block = transfer;
  return true;
}

void EpollProactor::enqueue(OperationChain& chain, IoContext& context) noexcept {
  chain.push(context);
  watches_.pushWork(context.state().socket);
}

// The end is known, but handlers run inside run() only.
void EpollProactor::fail(IoContext& context, int error) noexcept {
  setFailure(context, error);
  failed_.push(context);
}

void EpollProactor::deliver(IoContext& context, const IoResult& result) {
  ++delivered_;
  counters_.completed(context.kind()).add();
  context.complete(result);
}

void EpollProactor::finish(OperationChain& chain, IoContext& context, const IoResult& result) {
  chain.remove(context);
  if (!chain.isEmpty()) watches_.pushWork(context.state().socket);
  if (hasTransfer(context.kind())) transfers_.release(transferOf(context));
  ++delivered_;
  endOperation(context, result);
}

void EpollProactor::forget(SocketHandle socket) noexcept {
  Watch* watch = watches_.find(socket.value());
  if (watch == nullptr) return;
  if (watch->has(Watch::kRegistered)) set_.remove(socket.value());
  watch->forget();
}

// --- Running

void EpollProactor::run(TimePoint deadline) noexcept {
  GYRE_CHECK(!running_, "Proactor::run was called from a handler");
  running_ = true;
  const std::uint64_t deliveredBefore = delivered_;
  performWork();
  const bool hasDelivered = delivered_ != deliveredBefore;
  // Whoever was told something must have the next word before the loop sleeps. A second look at the
  // set right now would cost a system call per echo; but the next run() looks, whatever happens.
  if (!hasDelivered || waitPassedOver_) {
    waitPassedOver_ = false;
    const bool isInHurry = hasDelivered || watches_.hasWork() || !failed_.isEmpty();
    wait(deadline, isInHurry ? Patience::None : Patience::Waits);
  } else {
    waitPassedOver_ = true;
  }
  watches_.hasWork() ? endRunBehind(kEvents) : endRun();
  running_ = false;
}

// What handlers start meanwhile is left for the next run(): nobody is starved.
void EpollProactor::performWork() {
  deliverFailed();
  if (!pausedAccepts_.isEmpty()) resumeAccepts(now());
  for (std::size_t left = watches_.workSize(); left > 0; --left) {
    const std::int32_t fd = watches_.popWork();
    serve(fd, *watches_.find(fd), 0);
  }
}

void EpollProactor::deliverFailed() {
  for (std::size_t left = failed_.size(); left > 0; --left) {
    IoContext& context = *failed_.pop();
    ++delivered_;
    endOperation(context, {.error = failureOf(context)});
  }
}

void EpollProactor::resumeAccepts(TimePoint time) noexcept {
  IoQueue due;
  pausedAccepts_.takeDue(time, due);
  while (IoContext* context = due.pop()) {
    counters_.rearms.add();
    enqueue(watches_.find(context->state().socket)->input, *context);
  }
}

void EpollProactor::wait(TimePoint deadline, Patience patience) {
  deadline = std::min(deadline, pausedAccepts_.deadline());
  noteBusy();
  std::size_t count = 0;
  if (deadline != kNoWait && deadline <= wokenAt()) {
    count = takeAll();
  } else if (deadline != kNoWait && patience == Patience::Waits && beginSleep()) {
    counters_.enters.add();
    count = set_.wait(events_, deadline);
  } else {
    counters_.enters.add();
    count = set_.wait(events_, kNoWait);
  }
  endSleep();
  for (std::size_t i = 0; i < count; ++i) {
    if (events_[i].data.u64 != kWakeTag) dispatch(events_[i]);
  }
}

// The time is taken before: whatever came by then is among it. When it is more than fits, what is
// left comes before all that is ready later, so that a number of looks has seen each descriptor.
std::size_t EpollProactor::takeAll() noexcept {
  if (fullLooks_ == 0) lookedAt_ = now();
  counters_.enters.add();
  const std::size_t count = set_.wait(events_, kNoWait);
  const bool isAll = count < kEvents || ++fullLooks_ > operationsInFlight() / kEvents + 1;
  if (isAll) {
    fullLooks_ = 0;
    noteTaken(lookedAt_);
  }
  return count;
}

void EpollProactor::dispatch(const epoll_event& event) {
  const auto fd = static_cast<std::int32_t>(event.data.u64 & 0xffffffff);
  Watch& watch = *watches_.find(fd);
  // A handler of this batch has closed it, and the number may stand for another socket by now.
  if (watch.tag(fd) != event.data.u64) return;
  constexpr std::uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((event.events & (EPOLLIN | EPOLLPRI | kEnd)) != 0) watch.set(Watch::kReadable);
  if ((event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) watch.set(Watch::kWritable);
  // An end that was reported is no edge any more, and urgent data cuts a receive short.
  watch.assign(Watch::kReadToEnd, event.events & (EPOLLPRI | kEnd));
  serve(fd, watch, event.events);
}

}  // namespace gyre
