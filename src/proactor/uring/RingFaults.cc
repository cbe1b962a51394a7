#include "proactor/uring/RingFaults.h"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

namespace gyre {
namespace {

std::mutex optionsMutex;
std::optional<RingFaultOptions> currentOptions;
std::array<std::atomic<std::uint64_t>, kRingFaults> counts;

bool isMultishot(const io_uring_sqe& sqe) {
  switch (sqe.opcode) {
    case IORING_OP_ACCEPT: return (sqe.ioprio & IORING_ACCEPT_MULTISHOT) != 0;
    case IORING_OP_RECV: return (sqe.ioprio & IORING_RECV_MULTISHOT) != 0;
    default: return false;
  }
}

std::span<const int> passingErrors(const io_uring_sqe& sqe) {
  static constexpr int kAccept[] = {EINTR, ECONNABORTED, EPROTO, EPERM, EHOSTUNREACH};
  static constexpr int kStream[] = {EINTR, ENOBUFS, EAGAIN, ECANCELED};
  static constexpr int kOnce[] = {EINTR, EAGAIN};
  switch (sqe.opcode) {
    case IORING_OP_ACCEPT: return kAccept;
    case IORING_OP_RECV: return isMultishot(sqe) ? std::span<const int>(kStream) : kOnce;
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG: return kOnce;
    default: return {};
  }
}

std::span<const int> fatalErrors(const io_uring_sqe& sqe) {
  static constexpr int kReceive[] = {ECONNRESET, ETIMEDOUT};
  static constexpr int kSend[] = {EPIPE, ECONNRESET, ENOBUFS, ENOMEM};
  switch (sqe.opcode) {
    case IORING_OP_RECV: return kReceive;
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG: return kSend;
    default: return {};
  }
}

}  // namespace

RingFaults::RingFaults(const RingFaultOptions& options)
    : options_(options), state_(options.seed * 2 + 1) {}

// splitmix64
std::uint64_t RingFaults::random() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t value = state_;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

bool RingFaults::happens(std::uint32_t perThousand) { return random() % 1000 < perThousand; }

void RingFaults::count(RingFault fault) {
  counts[static_cast<std::size_t>(fault)].fetch_add(1, std::memory_order_relaxed);
}

void RingFaults::beforeSubmit(io_uring_sqe& sqe) {
  if (inject(sqe)) return count(RingFault::Injected);
  if (isMultishot(sqe)) {
    multishots_.insert(sqe.user_data);
  } else if (happens(options_.shortLengths)) {
    shorten(sqe);
  }
}

void RingFaults::shorten(io_uring_sqe& sqe) {
  if (sqe.opcode == IORING_OP_SENDMSG) {
    auto& message = *reinterpret_cast<msghdr*>(sqe.addr);
    if (message.msg_iovlen < 2) return;
    message.msg_iovlen = 1 + random() % (message.msg_iovlen - 1);
  } else if (sqe.opcode == IORING_OP_SEND || sqe.opcode == IORING_OP_RECV) {
    if (sqe.len < 2) return;
    sqe.len = static_cast<std::uint32_t>(1 + random() % (sqe.len - 1));
  } else {
    return;
  }
  count(RingFault::ShortLength);
}

bool RingFaults::inject(io_uring_sqe& sqe) {
  std::span<const int> errors;
  if (happens(options_.passingErrors)) {
    errors = passingErrors(sqe);
  } else if (happens(options_.fatalErrors)) {
    errors = fatalErrors(sqe);
  }
  if (errors.empty()) return false;
  io_uring_sqe nothing{};
  nothing.opcode = IORING_OP_NOP;
  nothing.user_data = sqe.user_data;
  nothing.rw_flags = static_cast<int>(uapi::kNopInjectResult);
  nothing.len = static_cast<std::uint32_t>(-errors[random() % errors.size()]);
  sqe = nothing;
  return true;
}

std::uint64_t RingFaults::pickCancel() {
  if (multishots_.empty() || !happens(options_.cancels)) return 0;
  auto chosen = multishots_.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(random() % multishots_.size()));
  count(RingFault::Cancelled);
  return *chosen;
}

std::size_t RingFaults::sendLimit(std::size_t size) {
  if (size == 0 || !happens(options_.shortLengths)) return size;
  count(RingFault::ShortLength);
  return random() % size;
}

void RingFaults::completed(std::span<const io_uring_cqe> batch) {
  for (const io_uring_cqe& cqe : batch) {
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) multishots_.erase(cqe.user_data);
    held_.push_back(cqe);
  }
}

// The completions of one operation keep their order: once one of them stays, so do the later ones.
std::size_t RingFaults::take(std::span<io_uring_cqe> batch) {
  std::set<std::uint64_t> staying;
  std::deque<io_uring_cqe> kept;
  std::size_t taken = 0;
  for (const io_uring_cqe& cqe : held_) {
    const bool stays =
        taken == batch.size() || staying.contains(cqe.user_data) || happens(options_.holdBack);
    if (!stays) {
      if (!kept.empty()) count(RingFault::Reordered);
      batch[taken++] = cqe;
      continue;
    }
    if (staying.insert(cqe.user_data).second) count(RingFault::HeldBack);
    kept.push_back(cqe);
  }
  held_.swap(kept);
  return taken;
}

void setRingFaults(const RingFaultOptions& options) {
  const std::lock_guard lock(optionsMutex);
  currentOptions = options;
}

void resetRingFaults() {
  const std::lock_guard lock(optionsMutex);
  currentOptions.reset();
}

std::unique_ptr<RingFaults> makeRingFaults() {
  const std::lock_guard lock(optionsMutex);
  if (!currentOptions) return nullptr;
  ++currentOptions->seed;  // each ring its own history
  return std::make_unique<RingFaults>(*currentOptions);
}

std::uint64_t ringFaultCount(RingFault fault) {
  return counts[static_cast<std::size_t>(fault)].load(std::memory_order_relaxed);
}

}  // namespace gyre
