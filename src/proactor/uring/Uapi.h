// Uapi: the kernel's io_uring interface: its header, what is newer than that, and three calls.
//
// Source: io_uring_setup(2), io_uring_enter(2), io_uring_register(2) and include/uapi of the kernel
// named beside each constant.
#pragma once

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "proactor/RawCall.h"

namespace gyre::uapi {

inline constexpr std::uint32_t kSetupNoSqArray = 1U << 16;   // 6.6
inline constexpr std::uint32_t kEnterNoIowait = 1U << 7;     // 6.15
inline constexpr std::uint32_t kFeatureNoIowait = 1U << 17;  // 6.15
inline constexpr std::uint16_t kAcceptDontWait = 1U << 1;    // 6.10, in sqe->ioprio
inline constexpr std::uint32_t kNopInjectResult = 1U << 0;   // 6.10, in sqe->rw_flags

// Each returns what the kernel returns, a failure as -errno.
inline int setup(std::uint32_t entries, io_uring_params& params) noexcept {
  const long result = ::syscall(__NR_io_uring_setup, entries, &params);
  return result < 0 ? -errno : static_cast<int>(result);
}

inline int enter(int fd, std::uint32_t submit, std::uint32_t waitFor, std::uint32_t flags,
                 const void* argument, std::size_t size) noexcept {
  return static_cast<int>(rawCall(__NR_io_uring_enter, fd, submit, waitFor, flags,
                                  reinterpret_cast<long>(argument), static_cast<long>(size)));
}

inline int registerWith(int fd, std::uint32_t opcode, void* argument,
                        std::uint32_t count) noexcept {
  const long result = ::syscall(__NR_io_uring_register, fd, opcode, argument, count);
  return result < 0 ? -errno : static_cast<int>(result);
}

}  // namespace gyre::uapi
