#include "proactor/uring/UringProactor.h"

#include <poll.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/LogFormat.h"
#include "proactor/SocketErrors.h"
#include "proactor/uring/RingFactory.h"

namespace gyre {
namespace {

// One enter of a multishot takes a whole backlog, of which this is the usual size at most.
constexpr std::uint32_t kBacklogMax = 4096;

UringFeatures requireFeatures(const ProactorOptions& options) {
  if (options.ioPolling) {
    throwSetupError(EINVAL, "IORING_SETUP_IOPOLL is refused",
                    "it busy-polls O_DIRECT files and cannot serve sockets; for lower latency use "
                    "submissionPolling");
  }
  const UringSupport support = uringSupport();
  if (support.error != 0) {
    throwSetupError(support.error, "io_uring cannot be used: " + support.cause,
                    support.cure + ", or choose the epoll engine");
  }
  return enabledFeatures(support.available, options);
}

}  // namespace

std::unique_ptr<Proactor> makeUringProactor(const ProactorOptions& options) {
  return std::make_unique<UringProactor>(options);
}

UringProactor::UringProactor(const ProactorOptions& options)
    : options_(options),
      features_(requireFeatures(options)),
      ring_(openRing(options, features_)),
      wakeContext_(&UringProactor::handleWake),
      pausedAccepts_(*this),
      descriptors_(std::min(ring_.grant().completionEntries, kBacklogMax)),
      backlog_(ring_.grant().completionEntries) {
  // A guard only: nothing here needs a worker. An old kernel that does not know it is fine too.
  std::uint32_t workers[2] = {options.workersMax, options.workersMax};
  ring_.registerWith(IORING_REGISTER_IOWQ_MAX_WORKERS, workers, 2);
  openBuffers();
  wakeContext_.start(IoKind::Read, SocketHandle(wakeFd()));
  armWake();
}

UringProactor::~UringProactor() {
  GYRE_CHECK(operationsInFlight() == 0,
             "a Proactor was destroyed with operations in flight: close what started them first");
  io_uring_sqe& sqe = nextSqe();
  sqe.opcode = IORING_OP_ASYNC_CANCEL;
  sqe.cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  while (wakeContext_.isInFlight()) {
    ring_.enter(1, std::chrono::milliseconds(100));
    while ((batchSize_ = takeBatch()) != 0) {
      for (std::size_t i = 0; i < batchSize_; ++i) {
        if (batch_[i].user_data == reinterpret_cast<std::uint64_t>(&wakeContext_)) {
          wakeContext_.complete({});
        }
      }
    }
  }
}

// --- Verbs

void UringProactor::accept(IoContext& context, SocketHandle listener) noexcept {
  descriptors_.note(listener.value());
  if (begin(context, IoKind::Accept, listener)) armAccept(context);
}

// An accept that waits is woken exclusively: where its cancel comes first, nobody else hears of
// that client. Every poll is woken, so here the accept itself never waits.
void UringProactor::acceptShared(IoContext& context, SocketHandle listener) noexcept {
  descriptors_.note(listener.value());
  if (!begin(context, IoKind::Accept, listener)) return;
  if (features_.acceptDontWait) context.set(kShared | kPollFirst);
  armAccept(context);
}

void UringProactor::receive(IoContext& context, SocketHandle socket) noexcept {
  if (begin(context, IoKind::Receive, socket)) armReceive(context);
}

void UringProactor::receiveInto(IoContext& context, SocketHandle socket,
                                std::span<char> into) noexcept {
  if (!begin(context, IoKind::ReceiveInto, socket)) return;
  Block* block = acquireBlock(context);
  if (block == nullptr) return;
  block->buffer = {into.data(), into.size()};
  armInto(context);
}

void UringProactor::read(IoContext& context, SocketHandle handle, std::span<char> into) noexcept {
  if (!begin(context, IoKind::Read, handle)) return;
  Block* block = acquireBlock(context);
  if (block == nullptr) return;
  block->buffer = {into.data(), into.size()};
  armInto(context);
}

void UringProactor::send(IoContext& context, SocketHandle socket,
                         std::span<const IoSlice> slices) noexcept {
  GYRE_CHECK(!slices.empty() && slices.size() <= kSendSlicesMax, "send takes 1 to 32 slices");
  if (!begin(context, IoKind::Send, socket)) return;
  Block* block = acquireBlock(context);
  if (block == nullptr) return;
  SendBlock& send = block->send;
  send.done = 0;
  send.total = 0;
  send.first = 0;
  send.count = static_cast<std::uint32_t>(slices.size());
  for (std::size_t i = 0; i < slices.size(); ++i) {
    send.slices[i] = {const_cast<char*>(slices[i].data), slices[i].size};
    send.total += slices[i].size;
  }
  noteLoans(send, &LoanCheck::beginSend);
  armSend(context);
}

void UringProactor::connect(IoContext& context, SocketHandle socket,
                            const InetAddress& to) noexcept {
  if (!begin(context, IoKind::Connect, socket)) return;
  if (to.isUnix()) return connectUnix(context, socket, to);
  Block* block = acquireBlock(context);
  if (block == nullptr) return;
  std::memcpy(&block->address, to.sockaddrPtr(), to.length());
  io_uring_sqe& sqe = nextSqe(context, IORING_OP_CONNECT);
  sqe.addr = reinterpret_cast<std::uint64_t>(&block->address);
  sqe.off = to.length();
}

// A backlog without room cannot be polled for: the kernel would wait for it in a worker thread,
// where nothing but a signal ends it. Asked directly, and not to wait, it answers at once.
void UringProactor::connectUnix(IoContext& context, SocketHandle socket,
                                const InetAddress& to) noexcept {
  const int error = connectWithoutWaiting(socket, to);
  if (error != 0) return fail(context, error);
  nextSqe(context, IORING_OP_NOP);  // the end is known, but handlers run inside run() only
}

void UringProactor::poll(IoContext& context, SocketHandle handle, std::uint32_t events) noexcept {
  if (!begin(context, IoKind::Poll, handle)) return;
  context.state().events = events | POLLERR | POLLHUP | POLLNVAL;
  armPoll(context);
}

void UringProactor::cancel(IoContext& context) noexcept {
  if (!context.isInFlight() || context.isCancelRequested()) return;
  context.set(IoContext::kCancelRequested);
  if (context.has(IoContext::kQueued)) cancelledQueued_ = true;
  // Neither armed nor queued: its completion is being dispatched, and resume() will see the flag.
  if (context.has(IoContext::kArmed)) queueCancel(context);
}

void UringProactor::queueCancel(IoContext& context) noexcept {
  io_uring_sqe& sqe = nextSqe();
  sqe.opcode = IORING_OP_ASYNC_CANCEL;
  sqe.addr = reinterpret_cast<std::uint64_t>(&context);
  sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
}

void UringProactor::cancelAll(SocketHandle socket) noexcept {
  markCancelled(socket);
  pausedAccepts_.cancelAll(socket);
  cancelledQueued_ = true;
  io_uring_sqe& sqe = nextSqe();
  sqe.opcode = IORING_OP_ASYNC_CANCEL;
  sqe.fd = socket.value();
  sqe.cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
  sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
}

bool UringProactor::keepLent(std::string_view bytes) noexcept {
  const char* end = lent_.data() + lent_.size();
  if (bytes.data() < lent_.data() || bytes.data() >= end) return false;
  const std::uint16_t id = buffers_.idOf(bytes.data());
  buffers_.keep(id);
  loans_.keep(id);
  return true;
}

void UringProactor::returnLent(const char* byte) noexcept {
  GYRE_DCHECK(buffers_.contains(byte), "returnLent: a byte of a keepLent() that was true");
  const std::uint16_t id = buffers_.idOf(byte);
  buffers_.endKeep(id);
  loans_.endKeep(id);
}

IoResult UringProactor::trySend(SocketHandle socket, std::string_view bytes) noexcept {
  return KernelProactor::trySend(socket, bytes.substr(0, ring_.sendLimit(bytes.size())));
}

// At the start, while it can be said: a loop without them would reset every client. More buffers
// than the completion queue has places could not be handed out at once; and their table is locked
// memory too, so that it shrinks with the ring.
void UringProactor::openBuffers() {
  const std::uint32_t useful =
      std::min(options_.receiveBuffersMax, ring_.grant().completionEntries);
  const std::uint32_t count = std::max(options_.receiveBuffers, useful);
  loans_.open(count);
  const int result =
      buffers_.open(ring_, options_.receiveBuffers, count, options_.receiveBufferSize);
  if (result == 0) return;
  throwSetupError(-result,
                  "no memory for " + std::to_string(count) + " receive buffers of " +
                      std::to_string(options_.receiveBufferSize) + " bytes",
                  "raise RLIMIT_MEMLOCK (ulimit -l) and RLIMIT_AS (ulimit -v), or ask for fewer "
                  "(ProactorOptions::receiveBuffersMax)");
}

// --- Starting and ending

bool UringProactor::begin(IoContext& context, IoKind kind, SocketHandle socket) noexcept {
  if (beginOperation(context, kind, socket)) return true;
  fail(context, ENOMEM);
  return false;
}

UringProactor::Block* UringProactor::acquireBlock(IoContext& context) noexcept {
  Block* block = blocks_.acquire();
  context.state().block = block;
  if (block == nullptr) fail(context, ENOMEM);
  return block;
}

// The end is known, but handlers run inside run() only.
void UringProactor::fail(IoContext& context, int error) noexcept {
  setFailure(context, error);
  failed_.push(context);
}

void UringProactor::finish(IoContext& context, IoResult result) {
  const IoKind kind = context.kind();
  const bool hasBlock = kind == IoKind::Send || kind == IoKind::Connect ||
                        kind == IoKind::ReceiveInto || kind == IoKind::Read;
  if (hasBlock && context.state().block != nullptr) {
    if (kind == IoKind::Send) {
      noteLoans(static_cast<Block*>(context.state().block)->send, &LoanCheck::endSend);
    }
    blocks_.release(static_cast<Block*>(context.state().block));
  }
  endOperation(context, result);
}

io_uring_sqe& UringProactor::nextSqe() noexcept {
  while (true) {
    if (io_uring_sqe* sqe = ring_.next()) return *sqe;
    // Full inside a handler: submit now. What has completed is kept for dispatch(), so that it
    // neither stands in the way (EBUSY) nor overflows.
    counters_.enters.add();
    if (ring_.submit() != 0) flushOverflow();
    io_uring_cqe cqe;
    while (backlog_.makeRoom() && ring_.take({&cqe, 1}) != 0) backlog_.push(cqe);
  }
}

io_uring_sqe& UringProactor::nextSqe(IoContext& context, std::uint8_t opcode) noexcept {
  io_uring_sqe& sqe = nextSqe();
  sqe.opcode = opcode;
  sqe.fd = context.state().socket;
  sqe.user_data = reinterpret_cast<std::uint64_t>(&context);
  context.set(IoContext::kArmed);
  counters_.submissions.add();
  return sqe;
}

}  // namespace gyre
