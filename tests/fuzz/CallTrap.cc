#include "fuzz/CallTrap.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "gyre/base/Check.h"

namespace gyre {
namespace {

constexpr std::uint32_t kMark = 0x67797265;
constexpr long kMarked = static_cast<long>(kMark) << 32;

std::atomic<CallJudge> currentJudge{nullptr};

#ifdef __x86_64__
constexpr std::array<int, 6> kArguments{REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
long argument(const ucontext_t& context, std::size_t index) {
  return context.uc_mcontext.gregs[kArguments[index]];
}
void setResult(ucontext_t& context, long result) { context.uc_mcontext.gregs[REG_RAX] = result; }
#else
long argument(const ucontext_t& context, std::size_t index) {
  return static_cast<long>(context.uc_mcontext.regs[index]);
}
void setResult(ucontext_t& context, long result) {
  context.uc_mcontext.regs[0] = static_cast<unsigned long long>(result);
}
#endif

std::size_t flagsIndexOf(long number) { return number == SYS_sendmsg ? 2 : 3; }

void handleTrap(int, siginfo_t* info, void* memory) {
  auto& context = *static_cast<ucontext_t*>(memory);
  const int before = errno;
  const long number = info->si_syscall;
  const int error = currentJudge.load(std::memory_order_relaxed)(number);
  long result = -error;
  if (error == 0) {
    std::array<long, 6> arguments;
    for (std::size_t i = 0; i < 6; ++i) arguments[i] = argument(context, i);
    arguments[flagsIndexOf(number)] |= kMarked;
    result = ::syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                       arguments[5]);
    if (result < 0) result = -errno;
  }
  setResult(context, result);
  errno = before;
}

constexpr std::uint32_t upperHalf(std::size_t index) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 8 * index + 4);
}

constexpr sock_filter load(std::uint32_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}
constexpr sock_filter ifEqual(std::uint32_t value, std::uint8_t then, std::uint8_t otherwise) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise);
}
constexpr sock_filter answer(std::uint32_t value) { return BPF_STMT(BPF_RET | BPF_K, value); }

}  // namespace

void trapCalls(CallJudge judge) noexcept {
  currentJudge = judge;
  struct sigaction action {};
  action.sa_sigaction = &handleTrap;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  ::sigaction(SIGSYS, &action, nullptr);
  // Jumps count from the next line.
  std::array<sock_filter, 11> filter{{
      load(offsetof(seccomp_data, nr)),
      ifEqual(SYS_sendmsg, 3, 0),
      ifEqual(SYS_sendto, 4, 0),
      ifEqual(SYS_accept4, 3, 0),
      answer(SECCOMP_RET_ALLOW),
      load(upperHalf(2)),
      ifEqual(kMark, 2, 3),
      load(upperHalf(3)),
      ifEqual(kMark, 0, 1),
      answer(SECCOMP_RET_ALLOW),
      answer(SECCOMP_RET_TRAP),
  }};
  const sock_fprog whole{static_cast<unsigned short>(filter.size()), filter.data()};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  GYRE_CHECK(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole, 0, 0) == 0,
             "the kernel takes no seccomp filter");
}

}  // namespace gyre
