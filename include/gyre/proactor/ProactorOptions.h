// ProactorOptions: every size and limit of an engine, with its default and why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gyre/base/Export.h"
#include "gyre/base/Time.h"

namespace gyre {

enum class Engine : std::uint8_t {
  Auto,   // io_uring where the kernel has what we need and permits it, else epoll
  Uring,  // io_uring or an error that says why not
  Epoll,
};

GYRE_API std::string_view engineName(Engine engine) noexcept;

// A kernel thread polls the submission queue, so that submitting needs no system call while it is
// awake. It costs a CPU, and excludes DEFER_TASKRUN (io_uring_setup(2)): worth a try where cores
// are plenty, never the default.
struct SubmissionPolling {
  bool enabled = false;
  int cpu = -1;  // sq_thread_cpu; -1: any
  // sq_thread_idle, in whole milliseconds: the thread sleeps after that long without work. Zero: no
  // limit, it never sleeps.
  TimeSpan idle = std::chrono::milliseconds(50);
};

struct ProactorOptions {
  Engine engine = Engine::Auto;

  // Ring sizes: powers of two, 1..32768 and 2..65536; others are rounded up by the kernel.
  // One iteration of a busy loop submits a few hundred operations; more than 1024 are sent in two
  // system calls. A multishot operation fills the completion queue without being submitted again,
  // so it is larger than the kernel's default of twice the submission queue. Both shrink, alike for
  // all rings of the process, to what RLIMIT_MEMLOCK allows.
  std::uint32_t submissionEntries = 1024;
  std::uint32_t completionEntries = 8192;
  // Rings this process will make, for that computation. 0: one per CPU and one for accepting.
  std::uint32_t ringsPlanned = 0;

  // Receive buffers of a loop, shared by all its connections. A ring of buffers is a FIFO: a large
  // one is always cold, so it starts small and grows (doubling) only when it runs empty: up to 256
  // measured 5 % better than always 32 with 800 and with 8000 connections. Pages of a grown ring
  // that is not in use go back to the system.
  // Powers of two, 1..32768; the size of one is 64..1 MiB. With messages of 16 KiB, 32 x 32 KiB
  // measured 0.91 times the CPU of 256 x 8 KiB: one completion each, and memory that stays warm.
  std::uint32_t receiveBuffers = 32;
  std::uint32_t receiveBuffersMax = 256;
  std::uint32_t receiveBufferSize = 32 * 1024;

  // A stream that fills several receive buffers in a row is bulk: it receives into one large buffer
  // of the loop instead, hot for all such streams. 0: never.
  std::uint32_t bulkBufferSize = 256 * 1024;

  // The epoll engine receives everything into one buffer of the loop, hot for all its connections.
  // 64 and 128 KiB measured 5 % better than 256 and 512 KiB with messages of 256 KiB.
  std::uint32_t hotBufferSize = 128 * 1024;

  // Kernel worker threads that this ring may start. Nothing here needs one; a guard.
  std::uint32_t workersMax = 2;

  SubmissionPolling submissionPolling;
  // IORING_SETUP_IOPOLL busy-polls O_DIRECT files. A ring for sockets cannot have it: refused.
  bool ioPolling = false;

  // Optional kernel features not to be used, by the names `gyre doctor` prints. The environment
  // variable GYRE_DISABLE=name,name adds to it.
  std::vector<std::string> disabledFeatures;
};

// The defaults, with GYRE_ENGINE=auto|uring|epoll applied. Throws std::system_error (EINVAL) for
// another word.
GYRE_API ProactorOptions defaultProactorOptions();

// What the kernel granted, as io_uring_setup(2) reports it. All zero for other engines.
struct RingGrant {
  std::uint32_t submissionEntries = 0;
  std::uint32_t completionEntries = 0;
  std::uint32_t setupFlags = 0;
  std::uint32_t features = 0;
};

}  // namespace gyre
