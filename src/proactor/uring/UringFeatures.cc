#include "proactor/uring/UringFeatures.h"

#include <sys/socket.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

#include "base/LogFormat.h"
#include "proactor/uring/BufferRing.h"
#include "proactor/uring/Ring.h"

namespace gyre {
namespace {

struct KernelVersion {
  int major = 0;
  int minor = 0;
};

KernelVersion kernelVersion() {
  utsname name{};
  KernelVersion version;
  if (::uname(&name) == 0) std::sscanf(name.release, "%d.%d", &version.major, &version.minor);
  return version;
}

std::string kernelRelease() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : "unknown";
}

// The value of a line "Key:\tvalue" of /proc/self/status, or of a one-line file when key is empty.
std::string procValue(const char* path, std::string_view key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (key.empty()) return line;
    if (line.starts_with(key)) return line.substr(line.find_first_not_of(" \t", key.size()));
  }
  return {};
}

bool probeOpcodes(const Ring& ring) {
  constexpr std::size_t kOps = 64;
  alignas(io_uring_probe)
      std::array<char, sizeof(io_uring_probe) + kOps * sizeof(io_uring_probe_op)>
          memory{};
  auto* probe = reinterpret_cast<io_uring_probe*>(memory.data());
  if (ring.registerWith(IORING_REGISTER_PROBE, probe, kOps) < 0) return false;
  constexpr std::array needed = {IORING_OP_ACCEPT,  IORING_OP_RECV,        IORING_OP_SEND,
                                 IORING_OP_SENDMSG, IORING_OP_CONNECT,     IORING_OP_POLL_ADD,
                                 IORING_OP_READ,    IORING_OP_ASYNC_CANCEL};
  return std::all_of(needed.begin(), needed.end(), [probe](int op) {
    return op <= probe->last_op && (probe->ops[op].flags & IO_URING_OP_SUPPORTED) != 0;
  });
}

// A multishot receive over a buffer ring on a socket pair must deliver one byte and stay armed.
// 0 or an errno value: a shortage or a refusal on the way is no missing feature.
int preflightReceive(Ring& ring) {
  BufferRing buffers;
  int result = buffers.open(ring, 2, 2, 4096);
  if (result < 0) return -result;
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return errno;
  UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  io_uring_sqe* sqe = ring.next();
  sqe->opcode = IORING_OP_RECV;
  sqe->fd = ours.get();
  sqe->ioprio = IORING_RECV_MULTISHOT;
  sqe->flags = IOSQE_BUFFER_SELECT;
  sqe->buf_group = BufferRing::kGroup;
  const char byte = 'g';
  if (::send(theirs.get(), &byte, 1, MSG_NOSIGNAL) != 1) return errno;
  io_uring_cqe cqe{};
  std::size_t taken = 0;
  for (int i = 0; i < 10 && taken == 0; ++i) {
    result = ring.enter(1, std::chrono::milliseconds(100));
    // These three pass.
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY) return -result;
    taken = ring.take({&cqe, 1});
  }
  const bool received = taken == 1 && cqe.res == 1 && (cqe.flags & IORING_CQE_F_BUFFER) != 0 &&
                        (cqe.flags & IORING_CQE_F_MORE) != 0;
  // End of stream ends the receive, before the buffers go.
  ::shutdown(ours.get(), SHUT_RDWR);
  for (int i = 0; i < 10 && (cqe.flags & IORING_CQE_F_MORE) != 0; ++i) {
    ring.enter(1, std::chrono::milliseconds(100));
    ring.take({&cqe, 1});
  }
  return received ? 0 : EINVAL;
}

// A flag that the kernel does not know is refused before the descriptor is looked at.
bool knowsAcceptDontWait(Ring& ring) {
  io_uring_sqe* sqe = ring.next();
  sqe->opcode = IORING_OP_ACCEPT;
  sqe->fd = -1;
  sqe->ioprio = uapi::kAcceptDontWait;
  io_uring_cqe cqe{};
  std::size_t taken = 0;
  for (int i = 0; i < 10 && taken == 0; ++i) {
    ring.enter(1, std::chrono::milliseconds(100));
    taken = ring.take({&cqe, 1});
  }
  return taken == 1 && cqe.res == -EBADF;
}

UringFeatures findFeatures(Ring& ring) {
  const RingGrant& grant = ring.grant();
  UringFeatures features;
  features.noSqArray = (grant.setupFlags & uapi::kSetupNoSqArray) != 0;
  features.noIowait = (grant.features & uapi::kFeatureNoIowait) != 0;
  features.registeredRing = true;  // 5.18, and trusted from 6.0: below our floor
  // With DEFER_TASKRUN a multishot accept of 6.3 to 6.7 may deliver bogus descriptors.
  features.multishotAccept = !isKernelBetween(6, 3, 6, 8);
  features.acceptDontWait = knowsAcceptDontWait(ring);
  return features;
}

UringSupport refused(int error) {
  UringSupport support;
  Refusal refusal = explainRefusal(error);
  support.error = error;
  support.cause = std::move(refusal.cause);
  support.cure = std::move(refusal.cure);
  return support;
}

UringSupport inspect() {
  Ring ring;
  const int result = ring.open(RingSetup{});
  if (result < 0) return refused(-result);
  const int received = preflightReceive(ring);
  if (received != 0) return refused(received);
  if (!probeOpcodes(ring)) return refused(EINVAL);
  UringSupport support;
  support.available = findFeatures(ring);
  return support;
}

std::vector<std::string> disabledNames(const ProactorOptions& options) {
  std::vector<std::string> names = options.disabledFeatures;
  const char* environment = std::getenv("GYRE_DISABLE");
  std::istringstream list(environment == nullptr ? "" : environment);
  for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  return names;
}

struct Description {
  const char* name;
  const char* since;
  const char* effect;
  bool UringFeatures::*member;
  const char* missing;
};

constexpr Description kDescriptions[] = {
    {"no_sqarray", "6.6", "one memory access less per submission", &UringFeatures::noSqArray,
     "the kernel is older than 6.6"},
    {"no_iowait", "6.15", "waiting is not shown as I/O wait", &UringFeatures::noIowait,
     "the kernel is older than 6.15: an idle loop may be shown as 100 % iowait, which is harmless"},
    {"registered_ring", "6.0", "no descriptor look-up per system call",
     &UringFeatures::registeredRing, "the kernel is older than 6.0"},
    {"multishot_accept", "5.19", "one submission accepts many clients",
     &UringFeatures::multishotAccept,
     "kernels 6.3 to 6.7 may deliver bogus descriptors: one submission per client instead"},
    {"accept_dontwait", "6.10", "processes that share a listener take no client from each other",
     &UringFeatures::acceptDontWait,
     "the kernel is older than 6.10: a client that comes while one of several processes stops "
     "accepting may wait for the next client"},
};

// Once per process: every loop reads them.
void warnOfUnknownNames(const std::vector<std::string>& names) {
  static std::once_flag once;
  std::call_once(once, [&names] {
    for (const std::string& name : names) {
      const bool isKnown =
          std::any_of(std::begin(kDescriptions), std::end(kDescriptions),
                      [&name](const Description& known) { return name == known.name; });
      if (!isKnown && !name.empty()) {
        logWarn("\"{}\" is no feature to be switched off: gyre doctor lists them", name);
      }
    }
  });
}

}  // namespace

UringSupport uringSupport() {
  static std::mutex mutex;
  static std::optional<UringSupport> known;
  const std::lock_guard lock(mutex);
  if (known) return *known;
  UringSupport support = inspect();
  const bool passing =
      support.error == ENOMEM || support.error == EMFILE || support.error == ENFILE;
  if (!passing) known = support;
  return support;
}

UringSupport uringSupportPatiently() {
  UringSupport support = uringSupport();
  for (std::chrono::milliseconds delay{1}; support.error == ENOMEM && delay.count() <= 64;
       delay *= 2) {
    std::this_thread::sleep_for(delay);
    support = uringSupport();
  }
  return support;
}

UringFeatures enabledFeatures(const UringFeatures& available, const ProactorOptions& options) {
  const std::vector<std::string> disabled = disabledNames(options);
  warnOfUnknownNames(disabled);
  UringFeatures features = available;
  for (const Description& description : kDescriptions) {
    if (std::find(disabled.begin(), disabled.end(), description.name) != disabled.end()) {
      features.*description.member = false;
    }
  }
  return features;
}

std::vector<FeatureReport> describeFeatures(const UringFeatures& available,
                                            const ProactorOptions& options) {
  const UringFeatures enabled = enabledFeatures(available, options);
  std::vector<FeatureReport> reports;
  for (const Description& description : kDescriptions) {
    FeatureReport report{description.name, description.since, description.effect,
                         enabled.*description.member, ""};
    if (!report.on) {
      report.reason = available.*description.member ? "switched off by option or GYRE_DISABLE"
                                                    : description.missing;
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

Refusal explainRefusal(int error) {
  const std::string seccomp = procValue("/proc/self/status", "Seccomp:");
  const std::string disabled = procValue("/proc/sys/kernel/io_uring_disabled", "");
  if (error == EPERM && (disabled == "1" || disabled == "2")) {
    return {"io_uring is switched off by sysctl kernel.io_uring_disabled=" + disabled,
            "set it to 0"};
  }
  if ((error == EPERM || error == ENOSYS) && seccomp == "2") {
    return {"a seccomp filter refuses io_uring (a container's default profile does)",
            "permit io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile"};
  }
  if (error == EPERM) {
    return {"a security module refuses io_uring", "permit it in that module's policy"};
  }
  if (error == ENOSYS) {
    return {"kernel " + kernelRelease() + " has no io_uring",
            "use Linux 6.1 or newer with CONFIG_IO_URING"};
  }
  if (error == EINVAL) {
    return {"the io_uring of kernel " + kernelRelease() +
                " lacks multishot receive, buffer rings or deferred task work",
            "use Linux 6.1 or newer"};
  }
  if (error == ENOMEM) {
    return {"RLIMIT_MEMLOCK is too small for a ring, or used up by the other rings of this user",
            "raise it (ulimit -l, LimitMEMLOCK=), or use fewer threads"};
  }
  if (error == EMFILE || error == ENFILE) {
    return {"no descriptor is left for a ring", "raise RLIMIT_NOFILE (ulimit -n)"};
  }
  return {std::strerror(error), "see io_uring_setup(2)"};
}

bool isKernelBetween(int firstMajor, int firstMinor, int lastMajor, int lastMinor) {
  const KernelVersion version = kernelVersion();
  const auto rank = [](int major, int minor) { return major * 1000 + minor; };
  const int running = rank(version.major, version.minor);
  return running >= rank(firstMajor, firstMinor) && running < rank(lastMajor, lastMinor);
}

}  // namespace gyre
