#include "proactor/DescriptorRoom.h"

#include <sys/resource.h>

#include <algorithm>
#include <limits>

namespace gyre {
namespace {

// A low number may be a hole below many that are open: so many in a row are needed.
constexpr int kCalm = 256;
constexpr int kReadEvery = 64;

}  // namespace

DescriptorRoom::DescriptorRoom(std::size_t batch) noexcept : batch_(batch) { readLimit(); }

void DescriptorRoom::noteScarce(int fd) noexcept {
  // It may have been raised.
  if (left_ == 0 || ++notedSinceRead_ == kReadEvery) readLimit();
  if (fd >= scarceFrom_) {
    left_ = kCalm;
  } else if (left_ != 0) {
    --left_;
  }
}

// Half of them stay for other loops that accept at the same time.
void DescriptorRoom::readLimit() noexcept {
  notedSinceRead_ = 0;
  rlimit limit{};
  const bool isKnown = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
  constexpr rlim_t kMost = std::numeric_limits<int>::max();
  const rlim_t most = isKnown ? std::min(limit.rlim_cur, kMost) : kMost;
  scarceFrom_ = most <= batch_ ? 0 : static_cast<int>(std::min(most / 2, most - batch_));
}

}  // namespace gyre
