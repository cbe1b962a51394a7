// Ring: one io_uring instance: the submission queue we fill, the completion queue we drain.
//
// We write the tail of the submission queue and the head of the completion queue, the kernel writes
// the other two. The head of the completion queue is advanced as soon as a batch has been copied
// out, so the kernel can go on while handlers run.
//
// Thread  The one that made it: SINGLE_ISSUER lets nobody else enter or register (EEXIST).
// Owns    The ring's descriptor and its mappings.
#pragma once

#include <chrono>
#include <memory>
#include <span>

#include "gyre/base/UniqueFd.h"
#include "gyre/proactor/ProactorOptions.h"
#include "proactor/MappedMemory.h"
#include "proactor/uring/RingFaults.h"
#include "proactor/uring/Uapi.h"

namespace gyre {

struct RingSetup {
  std::uint32_t submissionEntries = 8;
  std::uint32_t completionEntries = 16;
  SubmissionPolling polling;
  bool noSqArray = true;     // 6.6; falls back by itself where the kernel does not know it
  bool noIowait = true;      // 6.15: waiting is not accounted as I/O wait
  bool registeredFd = true;  // 5.18: saves the descriptor look-up in every enter
};

class Ring {
 public:
  Ring() = default;
  // 0 or -errno. On success the ring is usable by the calling thread.
  int open(const RingSetup& setup) noexcept;
  bool isOpen() const noexcept { return static_cast<bool>(fd_); }

  const RingGrant& grant() const noexcept { return grant_; }
  int registerWith(std::uint32_t opcode, void* argument, std::uint32_t count) const noexcept {
    return uapi::registerWith(fd_.get(), opcode, argument, count);
  }

  // A zeroed entry to fill, or null while the queue is full. It is submitted by the next enter.
  io_uring_sqe* next() noexcept {
    if (unsubmitted() > sqMask_) return nullptr;
    io_uring_sqe* sqe = &sqes_[sqTail_++ & sqMask_];
    *sqe = io_uring_sqe{};
    return sqe;
  }
  // Submits what is queued and waits for `waitFor` completions or `timeout` (zero or less: does not
  // wait; max: for ever). 0 or -errno; the end of the time is no error. The kernel may take fewer
  // than are queued: the rest stays queued.
  int enter(std::uint32_t waitFor, std::chrono::nanoseconds timeout) noexcept;
  // As enter() without waiting, and the kernel completes all that has come. To enter() it hands out
  // some 20 pieces of deferred work at most (Linux 6.13), so that an empty completion queue does
  // not mean that nothing has come.
  int enterForAll() noexcept;
  // Submits without looking at completions: to make room in a full queue.
  int submit() noexcept;
  bool hasQueued() const noexcept;

  // Copies completions out and frees their places; the number copied.
  std::size_t take(std::span<io_uring_cqe> batch) noexcept;
  bool hasCompletions() const noexcept;
  // True while the kernel keeps completions for which the queue had no place.
  bool hasOverflow() const noexcept;
  // Faults hold completions back.
  bool isHolding() const noexcept { return faults_ != nullptr && faults_->isHolding(); }
  // How much of a send(2) on one of its sockets shall be tried: less only under faults.
  std::size_t sendLimit(std::size_t size) noexcept {
    return faults_ == nullptr ? size : faults_->sendLimit(size);
  }

 private:
  int tryOpen(const RingSetup& setup, std::uint32_t flags) noexcept;
  int mapQueues(const io_uring_params& params) noexcept;
  void registerFd() noexcept;
  void publish() noexcept;
  void applyFaults();
  std::size_t copyOut(std::span<io_uring_cqe> batch) noexcept;
  // Acquire: the kernel has read what is before its head.
  std::uint32_t unsubmitted() const noexcept {
    return sqTail_ - __atomic_load_n(sqHeadShared_, __ATOMIC_ACQUIRE);
  }
  int enterWith(std::uint32_t waitFor, std::uint32_t flags, const void* argument,
                std::size_t size) noexcept;

  std::unique_ptr<RingFaults> faults_;  // null but in tests
  UniqueFd fd_;
  MappedMemory rings_;
  MappedMemory entries_;
  RingGrant grant_;
  int enterFd_ = -1;
  std::uint32_t enterFlags_ = 0;

  io_uring_sqe* sqes_ = nullptr;
  std::uint32_t sqMask_ = 0;
  std::uint32_t sqTail_ = 0;       // ours
  std::uint32_t sqPublished_ = 0;  // what the kernel has been shown of it
  std::uint32_t* sqHeadShared_ = nullptr;
  std::uint32_t* sqTailShared_ = nullptr;
  std::uint32_t* sqFlags_ = nullptr;

  io_uring_cqe* cqes_ = nullptr;
  std::uint32_t cqMask_ = 0;
  std::uint32_t* cqHeadShared_ = nullptr;
  std::uint32_t* cqTailShared_ = nullptr;
};

}  // namespace gyre
