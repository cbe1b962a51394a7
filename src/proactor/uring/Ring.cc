#include "proactor/uring/Ring.h"

#include <linux/time_types.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <limits>

namespace gyre {
namespace {

// The atomics of memory shared with the kernel. Release of a tail hands over what was written
// before it; acquire of the other side's index sees what was written before that.
std::uint32_t loadAcquire(const std::uint32_t* shared) noexcept {
  return __atomic_load_n(shared, __ATOMIC_ACQUIRE);
}
std::uint32_t loadRelaxed(const std::uint32_t* shared) noexcept {
  return __atomic_load_n(shared, __ATOMIC_RELAXED);
}
void storeRelease(std::uint32_t* shared, std::uint32_t value) noexcept {
  __atomic_store_n(shared, value, __ATOMIC_RELEASE);
}

constexpr std::uint32_t kSignalSetBytes = _NSIG / 8;

// At least one, because the kernel reads 0 as a second; it counts in an int.
std::uint32_t idleMilliseconds(TimeSpan idle) noexcept {
  const std::int64_t count = TimeSpan(idle.limit()).milliseconds().count();
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(count, 1, std::numeric_limits<std::int32_t>::max()));
}

std::uint32_t setupFlags(const RingSetup& setup) noexcept {
  std::uint32_t flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE |
                        IORING_SETUP_SINGLE_ISSUER;
  if (setup.polling.enabled) {
    // The poller runs task work itself: EINVAL with DEFER_TASKRUN, COOP_TASKRUN or TASKRUN_FLAG.
    flags |= IORING_SETUP_SQPOLL;
    if (setup.polling.cpu >= 0) flags |= IORING_SETUP_SQ_AFF;
  } else {
    flags |= IORING_SETUP_DEFER_TASKRUN;
  }
  return flags;
}

}  // namespace

int Ring::open(const RingSetup& setup) noexcept {
  const std::uint32_t flags = setupFlags(setup);
  int result = -EINVAL;
  if (setup.noSqArray) result = tryOpen(setup, flags | uapi::kSetupNoSqArray);
  if (result == -EINVAL) result = tryOpen(setup, flags);
  if (result < 0) return result;
  if (setup.noIowait && (grant_.features & uapi::kFeatureNoIowait) != 0) {
    enterFlags_ |= uapi::kEnterNoIowait;
  }
  if (setup.registeredFd) registerFd();
  faults_ = makeRingFaults();
  return 0;
}

int Ring::tryOpen(const RingSetup& setup, std::uint32_t flags) noexcept {
  io_uring_params params{};
  params.flags = flags;
  params.cq_entries = setup.completionEntries;
  if (setup.polling.enabled) {
    params.sq_thread_idle = idleMilliseconds(setup.polling.idle);
    if (setup.polling.cpu >= 0)
      params.sq_thread_cpu = static_cast<std::uint32_t>(setup.polling.cpu);
  }
  const int fd = uapi::setup(setup.submissionEntries, params);
  if (fd < 0) return fd;
  fd_.reset(fd);
  enterFd_ = fd;
  enterFlags_ = 0;
  grant_ = {params.sq_entries, params.cq_entries, params.flags, params.features};
  const int mapped = mapQueues(params);
  if (mapped < 0) fd_.reset();
  return mapped;
}

// FEAT_SINGLE_MMAP (5.4) is older than everything else we need: one mapping holds both queues.
int Ring::mapQueues(const io_uring_params& params) noexcept {
  const bool hasArray = (params.flags & uapi::kSetupNoSqArray) == 0;
  std::size_t size = params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe);
  if (hasArray) {
    size = std::max(size, params.sq_off.array + params.sq_entries * sizeof(std::uint32_t));
  }
  rings_ = MappedMemory::map(size, fd_.get(), IORING_OFF_SQ_RING);
  if (!rings_) return -errno;
  entries_ =
      MappedMemory::map(params.sq_entries * sizeof(io_uring_sqe), fd_.get(), IORING_OFF_SQES);
  if (!entries_) return -errno;

  const auto at = [this](std::uint32_t offset) {
    return reinterpret_cast<std::uint32_t*>(rings_.data() + offset);
  };
  sqes_ = reinterpret_cast<io_uring_sqe*>(entries_.data());
  sqMask_ = params.sq_entries - 1;
  sqHeadShared_ = at(params.sq_off.head);
  sqTailShared_ = at(params.sq_off.tail);
  sqFlags_ = at(params.sq_off.flags);
  sqTail_ = 0;
  sqPublished_ = 0;
  cqes_ = reinterpret_cast<io_uring_cqe*>(rings_.data() + params.cq_off.cqes);
  cqMask_ = params.cq_entries - 1;
  cqHeadShared_ = at(params.cq_off.head);
  cqTailShared_ = at(params.cq_off.tail);
  // Under NO_SQARRAY sq_off.array is 0, the ring header itself: never touched then.
  if (hasArray) {
    for (std::uint32_t i = 0; i <= sqMask_; ++i) at(params.sq_off.array)[i] = i;
  }
  return 0;
}

void Ring::registerFd() noexcept {
  io_uring_rsrc_update update{};
  update.offset = ~0U;  // any free place
  update.data = static_cast<std::uint64_t>(fd_.get());
  if (registerWith(IORING_REGISTER_RING_FDS, &update, 1) != 1) return;
  enterFd_ = static_cast<int>(update.offset);
  enterFlags_ |= IORING_ENTER_REGISTERED_RING;
}

bool Ring::hasQueued() const noexcept { return unsubmitted() != 0; }

void Ring::publish() noexcept {
  if (faults_ != nullptr) applyFaults();
  sqPublished_ = sqTail_;
  storeRelease(sqTailShared_, sqTail_);
}

void Ring::applyFaults() {
  for (std::uint32_t i = sqPublished_; i != sqTail_; ++i) faults_->beforeSubmit(sqes_[i & sqMask_]);
  const std::uint64_t victim = faults_->pickCancel();
  io_uring_sqe* sqe = victim != 0 ? next() : nullptr;
  if (sqe == nullptr) return;
  sqe->opcode = IORING_OP_ASYNC_CANCEL;
  sqe->addr = victim;
}

int Ring::enter(std::uint32_t waitFor, std::chrono::nanoseconds timeout) noexcept {
  io_uring_getevents_arg argument{};
  __kernel_timespec limit{};
  argument.sigmask_sz = kSignalSetBytes;
  if (timeout <= std::chrono::nanoseconds::zero()) waitFor = 0;
  if (faults_ != nullptr && faults_->isHolding()) waitFor = 0;
  if (waitFor != 0 && timeout != std::chrono::nanoseconds::max()) {
    limit.tv_sec = timeout.count() / 1'000'000'000;
    limit.tv_nsec = timeout.count() % 1'000'000'000;
    argument.ts = reinterpret_cast<std::uint64_t>(&limit);
  }
  // Always GETEVENTS: under DEFER_TASKRUN nothing completes before the thread asks.
  const int result = argument.ts == 0
                         ? enterWith(waitFor, IORING_ENTER_GETEVENTS, nullptr, 0)
                         : enterWith(waitFor, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                                     &argument, sizeof argument);
  return result == -ETIME ? 0 : result;
}

// Who waits for so many completions gets the work of as many, and a wait of no time is over then.
int Ring::enterForAll() noexcept {
  __kernel_timespec none{};
  io_uring_getevents_arg argument{};
  argument.sigmask_sz = kSignalSetBytes;
  argument.ts = reinterpret_cast<std::uint64_t>(&none);
  const int result =
      enterWith(grant_.completionEntries, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument,
                sizeof argument);
  return result == -ETIME ? 0 : result;
}

int Ring::submit() noexcept {
  const std::uint32_t wait =
      (grant_.setupFlags & IORING_SETUP_SQPOLL) != 0 ? IORING_ENTER_SQ_WAIT : 0;
  const int result = enterWith(0, wait, nullptr, 0);
  return result == -EINTR ? 0 : result;
}

int Ring::enterWith(std::uint32_t waitFor, std::uint32_t flags, const void* argument,
                    std::size_t size) noexcept {
  publish();
  std::uint32_t toSubmit = unsubmitted();
  if ((grant_.setupFlags & IORING_SETUP_SQPOLL) != 0) {
    // The poller may be falling asleep: our tail must be visible before we read its flag.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    toSubmit = 0;
    if ((loadRelaxed(sqFlags_) & IORING_SQ_NEED_WAKEUP) != 0) flags |= IORING_ENTER_SQ_WAKEUP;
  }
  // NO_IOWAIT is refused without GETEVENTS.
  const std::uint32_t standing =
      (flags & IORING_ENTER_GETEVENTS) != 0 ? enterFlags_ : enterFlags_ & ~uapi::kEnterNoIowait;
  int result = uapi::enter(enterFd_, toSubmit, waitFor, flags | standing, argument, size);
  if (result == -EINVAL && standing != 0) {
    // A kernel that promised more than it keeps: do without what is optional from now on.
    enterFlags_ = 0;
    enterFd_ = fd_.get();
    result = uapi::enter(enterFd_, toSubmit, waitFor, flags, argument, size);
  }
  return result < 0 ? result : 0;
}

std::size_t Ring::take(std::span<io_uring_cqe> batch) noexcept {
  if (faults_ == nullptr) return copyOut(batch);
  io_uring_cqe cqe;
  while (copyOut({&cqe, 1}) != 0) faults_->completed({&cqe, 1});
  return faults_->take(batch);
}

std::size_t Ring::copyOut(std::span<io_uring_cqe> batch) noexcept {
  const std::uint32_t head = loadRelaxed(cqHeadShared_);
  const std::uint32_t ready = loadAcquire(cqTailShared_) - head;
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(ready, batch.size()));
  for (std::uint32_t i = 0; i < count; ++i) batch[i] = cqes_[(head + i) & cqMask_];
  if (count != 0) storeRelease(cqHeadShared_, head + count);
  return count;
}

bool Ring::hasCompletions() const noexcept {
  return loadAcquire(cqTailShared_) != loadRelaxed(cqHeadShared_);
}

bool Ring::hasOverflow() const noexcept {
  return (loadRelaxed(sqFlags_) & IORING_SQ_CQ_OVERFLOW) != 0;
}

}  // namespace gyre
