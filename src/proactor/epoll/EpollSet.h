// EpollSet: an epoll instance. Edge-triggered, one registration per descriptor, never modified.
//
// Thread  The engine's.
// Owns    The epoll descriptor.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <span>

#include "gyre/base/UniqueFd.h"
#include "gyre/proactor/Proactor.h"

namespace gyre {

class EpollSet {
 public:
  // All that a readiness can be. epoll adds EPOLLERR and EPOLLHUP.
  static constexpr std::uint32_t kWatched = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI;

  // Throws std::system_error.
  EpollSet();

  // What is ready already is reported by the next wait. 0 or an errno value: EPERM when the file is
  // always ready (a regular file), ENOSPC at fs.epoll.max_user_watches, ENOMEM.
  int add(int fd, std::uint32_t events, std::uint64_t tag) noexcept;
  // To be called before close(2): another process or a duplicate may keep the file, and its
  // registration, alive.
  void remove(int fd) noexcept;
  // Fills `events`, and returns how many. Waits until the deadline at most, never less.
  std::size_t wait(std::span<epoll_event> events, TimePoint deadline) noexcept;
  // Forget epoll_pwait2 (Linux 5.11): timeouts are rounded up to milliseconds.
  void useMilliseconds() noexcept { hasNanoseconds_ = false; }

 private:
  int waitOnce(std::span<epoll_event> events, TimePoint deadline) noexcept;

  UniqueFd fd_;
  bool hasNanoseconds_ = true;
};

}  // namespace gyre
