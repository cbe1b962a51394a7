#include "proactor/uring/RingFactory.h"

#include <linux/capability.h>
#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/LogFormat.h"
#include "proactor/SocketErrors.h"

namespace gyre {
namespace {

constexpr std::uint32_t kSmallestSubmission = 8;
constexpr std::uint32_t kSmallestCompletion = 32;
constexpr std::uint64_t kPage = 4096;

std::uint64_t ringBytes(RingSizes sizes) noexcept {
  const auto pages = [](std::uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; };
  // The kernel rounds up, to its limits.
  const std::uint64_t submissions = std::bit_ceil(std::min(sizes.submissionEntries, 32768U));
  const std::uint64_t completions = std::bit_ceil(std::min(sizes.completionEntries, 65536U));
  // Header and completions (and the index array of older kernels), then the submission entries,
  // and one page for the table of the receive buffers.
  return pages(kPage + completions * sizeof(io_uring_cqe) + submissions * sizeof(std::uint32_t)) +
         pages(submissions * sizeof(io_uring_sqe)) + kPage;
}

// The limit does not bind whoever may lock memory at will.
bool hasIpcLock() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[0].effective & (1U << CAP_IPC_LOCK)) != 0;
}

std::uint64_t lockableBytes() noexcept {
  rlimit limit{};
  if (hasIpcLock() || ::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return std::numeric_limits<std::uint64_t>::max();
  }
  return limit.rlim_cur;
}

std::uint32_t ringsPlanned(const ProactorOptions& options) noexcept {
  if (options.ringsPlanned != 0) return options.ringsPlanned;
  return std::max(1U, std::thread::hardware_concurrency()) + 1;
}

bool halve(RingSizes& sizes) noexcept {
  if (sizes.completionEntries > std::max(kSmallestCompletion, 2 * sizes.submissionEntries)) {
    sizes.completionEntries /= 2;
    return true;
  }
  if (sizes.submissionEntries <= kSmallestSubmission) return false;
  sizes.submissionEntries /= 2;
  return true;
}

// The size of every ring of this process with these wishes: the first decides for all.
class ProcessSizes {
 public:
  RingSizes get(const ProactorOptions& options) {
    const std::lock_guard lock(mutex_);
    const RingSizes wanted{options.submissionEntries, options.completionEntries};
    if (chosen_ && wanted_.submissionEntries == wanted.submissionEntries &&
        wanted_.completionEntries == wanted.completionEntries) {
      return *chosen_;
    }
    wanted_ = wanted;
    const std::uint64_t limit = lockableBytes();
    chosen_ = affordableSizes(wanted, ringsPlanned(options), limit);
    if (chosen_->completionEntries != wanted.completionEntries ||
        chosen_->submissionEntries != wanted.submissionEntries) {
      logInfo("rings shrink from {}/{} to {}/{} entries: RLIMIT_MEMLOCK is {} KiB",
              wanted.submissionEntries, wanted.completionEntries, chosen_->submissionEntries,
              chosen_->completionEntries, limit / 1024);
    }
    return *chosen_;
  }

  void lower(RingSizes sizes) {
    const std::lock_guard lock(mutex_);
    chosen_ = sizes;
  }

 private:
  std::mutex mutex_;
  RingSizes wanted_;
  std::optional<RingSizes> chosen_;
};

ProcessSizes processSizes;

// Memory of rings closed a moment ago is still charged for a while.
int openPatiently(Ring& ring, const RingSetup& setup) {
  int result = ring.open(setup);
  for (std::chrono::milliseconds delay{1}; result == -ENOMEM && delay.count() <= 64; delay *= 2) {
    std::this_thread::sleep_for(delay);
    result = ring.open(setup);
  }
  return result;
}

[[noreturn]] void throwRefused(int error, const RingSetup& setup) {
  // The kernel has shown that it can: it is what was asked for.
  if (error == EINVAL) {
    std::string what = "the kernel refuses a ring of " + std::to_string(setup.submissionEntries) +
                       "/" + std::to_string(setup.completionEntries) + " entries";
    if (setup.polling.cpu >= 0) what += " polled on CPU " + std::to_string(setup.polling.cpu);
    throwSetupError(error, what,
                    "at least 1 submission, no fewer completions, and a CPU that is online");
  }
  const Refusal refusal = explainRefusal(error);
  throwSetupError(error, "io_uring cannot be used: " + refusal.cause, refusal.cure);
}

}  // namespace

RingSizes affordableSizes(RingSizes wanted, std::uint32_t rings, std::uint64_t limit) noexcept {
  // A quarter is left to others of the same user, and to what is still charged for closed rings.
  const std::uint64_t each = limit / 4 * 3 / std::max(1U, rings);
  while (ringBytes(wanted) > each && halve(wanted)) {
  }
  return wanted;
}

Ring openRing(const ProactorOptions& options, const UringFeatures& features) {
  RingSizes sizes = processSizes.get(options);
  RingSetup setup;
  setup.polling = options.submissionPolling;
  setup.noSqArray = features.noSqArray;
  setup.noIowait = features.noIowait;
  setup.registeredFd = features.registeredRing;
  while (true) {
    setup.submissionEntries = sizes.submissionEntries;
    setup.completionEntries = sizes.completionEntries;
    Ring ring;
    const int result = openPatiently(ring, setup);
    if (result == 0) return ring;
    if (result != -ENOMEM || !halve(sizes)) throwRefused(-result, setup);
    logWarn("no memory for a ring: trying {}/{} entries (RLIMIT_MEMLOCK)", sizes.submissionEntries,
            sizes.completionEntries);
    processSizes.lower(sizes);
  }
}

}  // namespace gyre
