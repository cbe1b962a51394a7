#include "sim/SimProactor.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace gyre {
namespace {

bool isSending(const SimSocket& socket) {
  return std::any_of(socket.operations.begin(), socket.operations.end(),
                     [](const SimOperation* o) { return o->kind == IoKind::Send; });
}

}  // namespace

SimProactor::SimProactor(const SimSurroundings& surroundings, std::string name)
    : world_(surroundings.world),
      tcp_(surroundings.tcp),
      scheduler_(surroundings.scheduler),
      name_(std::move(name)),
      kernel_(world_, tcp_, counters_, name_) {
  scheduler_.addEngine(*this);
}

SimProactor::~SimProactor() { scheduler_.removeEngine(*this); }

void SimProactor::note(std::string_view what, const SimSocket& socket, int error) const {
  world_.note({.who = name_, .what = what, .socket = socket.number, .error = error});
}

void SimProactor::checkThread() const {
  GYRE_CHECK(std::this_thread::get_id() == thread_, "an engine is used on the thread that made it");
}

bool SimProactor::sharesSocketsWith(const Proactor& other) const noexcept {
  const auto* simulated = dynamic_cast<const SimProactor*>(&other);
  return simulated != nullptr && &simulated->world_ == &world_;
}

// --- Operations

SimOperation& SimProactor::begin(IoContext& context, IoKind kind, SocketHandle handle) {
  checkThread();
  context.start(kind, handle);
  SimSocket& socket = tcp_.get(handle);
  GYRE_CHECK(!socket.cancelled, "an operation was started on a socket after cancelAll");
  GYRE_CHECK(socket.user == &kernel_ || socket.operations.empty(),
             "a socket is used by one engine at a time");
  for (const SimOperation* other : socket.operations) {
    GYRE_CHECK(kind != IoKind::Send || other->kind != IoKind::Send,
               "a second send was started on one socket");
    const bool bothReceive = (kind == IoKind::Receive || kind == IoKind::ReceiveInto) &&
                             (other->kind == IoKind::Receive || other->kind == IoKind::ReceiveInto);
    GYRE_CHECK(!bothReceive, "a second receive was started on one socket");
  }
  ++operationsInFlight_;
  if (idle_.empty()) idle_.push_back(&operations_.emplace_back());
  SimOperation& operation = *idle_.back();
  idle_.pop_back();
  operation = SimOperation{};
  operation.context = &context;
  operation.socket = &socket;
  operation.kind = kind;
  operation.number = static_cast<std::int64_t>(world_.statistics().operations++);
  context.state().block = &operation;
  socket.user = &kernel_;
  socket.operations.push_back(&operation);
  return operation;
}

void SimProactor::start(SimOperation& operation) {
  requests_.push_back({&operation, false});
  world_.note({.who = name_,
               .what = simKindName(operation.kind),
               .operation = operation.number,
               .socket = operation.socket->number,
               .amount = static_cast<std::int64_t>(operation.output.total())});
}

void SimProactor::accept(IoContext& context, SocketHandle listener) noexcept {
  start(begin(context, IoKind::Accept, listener));
}

void SimProactor::receive(IoContext& context, SocketHandle socket) noexcept {
  start(begin(context, IoKind::Receive, socket));
}

void SimProactor::receiveInto(IoContext& context, SocketHandle socket,
                              std::span<char> into) noexcept {
  GYRE_CHECK(!into.empty(), "receiveInto: room for at least one byte");
  SimOperation& operation = begin(context, IoKind::ReceiveInto, socket);
  operation.into = into;
  start(operation);
}

void SimProactor::send(IoContext& context, SocketHandle socket,
                       std::span<const IoSlice> slices) noexcept {
  SimOperation& operation = begin(context, IoKind::Send, socket);
  operation.output = SimOutput(slices);
  start(operation);
}

void SimProactor::connect(IoContext& context, SocketHandle socket, const InetAddress& to) noexcept {
  SimOperation& operation = begin(context, IoKind::Connect, socket);
  operation.to = to;
  start(operation);
}

void SimProactor::poll(IoContext& context, SocketHandle handle, std::uint32_t events) noexcept {
  SimOperation& operation = begin(context, IoKind::Poll, handle);
  operation.events = events;
  start(operation);
}

void SimProactor::read(IoContext& context, SocketHandle handle, std::span<char> into) noexcept {
  GYRE_CHECK(!into.empty(), "read: room for at least one byte");
  SimOperation& operation = begin(context, IoKind::Read, handle);
  operation.into = into;
  start(operation);
}

void SimProactor::cancel(IoContext& context) noexcept {
  checkThread();
  if (!context.isInFlight() || context.isCancelRequested()) return;
  context.set(IoContext::kCancelRequested);
  auto& operation = *static_cast<SimOperation*>(context.state().block);
  GYRE_CHECK(operation.socket->user == &kernel_, "a cancel goes to the engine of the operation");
  operation.isCancelled = true;
  requests_.push_back({&operation, true});
  world_.note({.who = name_,
               .what = "cancel is asked for",
               .operation = operation.number,
               .socket = operation.socket->number});
}

void SimProactor::cancelAll(SocketHandle handle) noexcept {
  checkThread();
  SimSocket& socket = tcp_.get(handle);
  socket.cancelled = true;
  note("cancelAll", socket);
  for (SimOperation* operation : socket.operations) cancel(*operation->context);
}

// --- Running

void SimProactor::run(TimePoint deadline) noexcept {
  checkThread();
  GYRE_CHECK(!running_, "Proactor::run was called from a handler");
  running_ = true;
  counters_.enters.add();
  kernel_.lender().beginRun([this](const char* buffer, std::size_t size) {
    return std::any_of(operations_.begin(), operations_.end(), [=](const SimOperation& operation) {
      return operation.context != nullptr && operation.output.isIn(buffer, size);
    });
  });
  const bool mustWait = scheduler_.enter(*this);
  submit();
  deadline_ = deadline;
  runsAgain_ = false;
  if (mustWait) scheduler_.waitFor(*this, deadline);
  wokenAt_ = now();
  // A wake() from here on, also from a handler, is for the next run.
  runsAgain_ = woken_.exchange(false);
  kernel_.takeUpAgain();
  dispatch();
  noteTaken(wokenAt_);
  kernel_.isBehind() ? endRunBehind(1) : endRun();
  running_ = false;
}

void SimProactor::submit() {
  for (const Request& request : std::exchange(requests_, {})) {
    if (request.isCancel) {
      kernel_.submitCancel(*request.operation);
    } else {
      kernel_.submit(*request.operation);
    }
  }
}

bool SimProactor::isReady() const {
  return woken_ || runsAgain_ || !requests_.empty() || deadline_ <= world_.now() ||
         kernel_.hasWork();
}

TimePoint SimProactor::wakeTime() const { return std::min(deadline_, kernel_.nextTime()); }

// Handlers start nothing that completes in the same run, so what is due now is all.
void SimProactor::dispatch() {
  SimCompletions& completions = kernel_.completions();
  std::size_t budget = completions.dueCount();
  if (budget > 1 && world_.strikes(SimFault::CompletionsOneByOne)) budget = 1;
  for (; budget > 0; --budget) deliver(completions.take());
}

void SimProactor::deliver(const SimCompletion& completion) {
  SimOperation& operation = *completion.operation;
  IoContext& context = *operation.context;
  const IoResult& result = completion.result;
  runsAgain_ = true;
  ++world_.statistics().completions;
  counters_.completed(operation.kind).add();
  countBytes(operation.kind, result);
  world_.note({.who = name_,
               .what = result.more ? "delivers" : "ends",
               .operation = operation.number,
               .socket = operation.socket->number,
               .amount = static_cast<std::int64_t>(result.bytes),
               .error = result.error});
  if (result.data != nullptr) world_.trace().fold(simHash(0, {result.data, result.bytes}));
  if (!result.more) release(operation);
  lent_ = {completion.lent, completion.lent != nullptr ? result.bytes : 0};
  context.complete(result);
  if (completion.lent != nullptr) kernel_.lender().takeBack(completion.lent);
  lent_ = {};
}

void SimProactor::countBytes(IoKind kind, const IoResult& result) {
  if (kind == IoKind::Receive || kind == IoKind::ReceiveInto) {
    counters_.bytesReceived.add(result.bytes);
  }
  if (kind == IoKind::Send) counters_.bytesSent.add(result.bytes);
  if (kind == IoKind::Accept && result.more) counters_.accepts.add();
}

void SimProactor::release(SimOperation& operation) {
  operation.output.checkUnchanged();
  ++world_.statistics().ended;
  const auto isOfIt = [&operation](const Request& request) {
    return request.operation == &operation;
  };
  if (std::erase_if(requests_, isOfIt) > 0) world_.count(SimFault::CancelTooLate);
  kernel_.forget(operation);
  std::erase(operation.socket->operations, &operation);
  operation.context->state().block = nullptr;
  operation.context = nullptr;
  --operationsInFlight_;
  idle_.push_back(&operation);
}

// --- Direct calls

SocketHandle SimProactor::listen(const InetAddress& address, const ListenOptions& options) {
  checkThread();
  if (!tcp_.hasDescriptor()) {
    throw std::system_error(EMFILE, std::generic_category(),
                            "cannot listen on " + address.toString() +
                                " (out of descriptors: raise SimOptions::descriptorsMax)");
  }
  SimSocket& socket = tcp_.listen(address, options);
  note("listens", socket);
  return SocketHandle(socket.number);
}

SocketHandle SimProactor::socket(int family) noexcept {
  checkThread();
  if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) {
    return SocketHandle::failed(EAFNOSUPPORT);
  }
  if (!tcp_.hasDescriptor()) return SocketHandle::failed(EMFILE);
  SimSocket& socket = tcp_.openStream();
  note("opens", socket);
  return SocketHandle(socket.number);
}

SocketHandle SimProactor::adopt(int fd) noexcept {
  checkThread();
  const SimSocket* socket = tcp_.find(SocketHandle(fd));
  return socket == nullptr ? SocketHandle::failed(EBADF) : SocketHandle(fd);
}

int SimProactor::setOption(SocketHandle handle, SocketOption option, int value) noexcept {
  checkThread();
  SimSocket& socket = tcp_.get(handle);
  if (socket.event) return ENOTSOCK;
  const auto bytes = static_cast<std::size_t>(std::max(value, 1));
  switch (option) {
    case SocketOption::NoDelay:
    case SocketOption::KeepAlive: break;
    case SocketOption::SendBuffer: socket.sendBuffer = bytes; break;
    case SocketOption::ReceiveBuffer: socket.receiveBuffer = bytes; break;
    case SocketOption::LingerZero: socket.lingerZero = true; break;
  }
  SimTcp::applyBuffers(socket);
  return 0;
}

InetAddress SimProactor::localAddress(SocketHandle handle) const noexcept {
  const SimSocket& socket = tcp_.get(handle);
  if (socket.listener) return socket.listener->address;
  return socket.link ? socket.link->address(socket.side) : InetAddress();
}

InetAddress SimProactor::peerAddress(SocketHandle handle) const noexcept {
  const SimSocket& socket = tcp_.get(handle);
  const bool isKnown =
      socket.link && socket.link->isConnected(socket.side) && !socket.link->isReset(socket.side);
  return isKnown ? socket.link->address(peerOf(socket.side)) : InetAddress();
}

bool SimProactor::keepLent(std::string_view bytes) noexcept {
  checkThread();
  const char* end = lent_.data() + lent_.size();
  if (bytes.data() < lent_.data() || bytes.data() >= end) return false;
  GYRE_CHECK(bytes.data() + bytes.size() <= end, "keepLent: bytes of one receive");
  kernel_.lender().keep(bytes.data());
  return true;
}

void SimProactor::returnLent(const char* byte) noexcept {
  checkThread();
  kernel_.lender().endKeep(byte);
}

IoResult SimProactor::trySend(SocketHandle handle, std::string_view bytes) noexcept {
  checkThread();
  SimSocket& socket = tcp_.get(handle);
  GYRE_CHECK(!isSending(socket) && !socket.cancelled,
             "trySend with a send in flight or after cancelAll");
  counters_.directSends.add();
  const int error = socket.link ? socket.link->takeWriteError(socket.side) : EPIPE;
  if (error != 0) return {.error = error};
  if (world_.strikes(SimFault::SendNoMemory)) return {.error = ENOBUFS};
  std::size_t taken = std::min(bytes.size(), socket.link->room(socket.side));
  if (taken > 0 && world_.strikes(SimFault::SendContinued)) taken = world_.random().below(taken);
  if (taken > 0) socket.link->write(socket.side, bytes.substr(0, taken));
  counters_.bytesSent.add(taken);
  world_.note({.who = name_,
               .what = "sends at once",
               .socket = socket.number,
               .amount = static_cast<std::int64_t>(taken)});
  return {.bytes = taken};
}

int SimProactor::shutdownWrite(SocketHandle handle) noexcept {
  checkThread();
  SimSocket& socket = tcp_.get(handle);
  GYRE_CHECK(!socket.listener, "a listener is never shut down");
  GYRE_CHECK(!isSending(socket),
             "shutdownWrite with a send in flight: that send would fail with EPIPE");
  const bool isConnected =
      socket.link && socket.link->isConnected(socket.side) && !socket.link->isReset(socket.side);
  const int error = isConnected ? 0 : ENOTCONN;
  note("shutdownWrite", socket, error);
  if (isConnected) socket.link->shutdownWrite(socket.side);
  return error;
}

int SimProactor::shutdownBoth(SocketHandle handle) noexcept {
  checkThread();
  SimSocket& socket = tcp_.get(handle);
  GYRE_CHECK(!socket.listener, "a listener is never shut down");
  const bool isConnected =
      socket.link && socket.link->isConnected(socket.side) && !socket.link->isReset(socket.side);
  const int error = isConnected ? 0 : ENOTCONN;
  note("shutdownBoth", socket, error);
  if (isConnected) socket.link->shutdownBoth(socket.side);
  tellOperations(socket);
  return error;
}

// What is in flight hears of it now, or so late that a cancel comes first. No handler runs here.
void SimProactor::tellOperations(SimSocket& socket) {
  if (world_.random().chance(0.5)) return socket.linkChanged();
  world_.after(Duration::zero(), [&tcp = tcp_, handle = SocketHandle(socket.number)] {
    if (SimSocket* open = tcp.find(handle)) open->linkChanged();
  });
}

void SimProactor::close(SocketHandle handle) noexcept {
  checkThread();
  SimSocket& socket = tcp_.get(handle);
  GYRE_CHECK(socket.operations.empty(),
             "a socket was closed with an operation in flight: join it first");
  note("closes", socket);
  tcp_.close(socket);
}

}  // namespace gyre
