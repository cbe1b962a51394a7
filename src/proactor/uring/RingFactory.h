// RingFactory: opens a ring of the size that this process can afford, alike for all its loops.
//
// Since Linux 6.14 the memory of rings is charged to RLIMIT_MEMLOCK of the user, and given back
// some time after a ring was closed. So one size for all rings is computed from the limit first;
// when the kernel still says ENOMEM: wait 1 to 64 ms, then halve, and at last fail naming the
// limit.
//
// Thread  Any; the ring belongs to the calling thread.
#pragma once

#include "gyre/proactor/ProactorOptions.h"
#include "proactor/uring/Ring.h"
#include "proactor/uring/UringFeatures.h"

namespace gyre {

// Throws std::system_error naming cause and cure.
Ring openRing(const ProactorOptions& options, const UringFeatures& features);

// The sizes that `limit` bytes of locked memory allow for `rings` rings: the wanted ones, or
// smaller.
struct RingSizes {
  std::uint32_t submissionEntries = 0;
  std::uint32_t completionEntries = 0;
};
RingSizes affordableSizes(RingSizes wanted, std::uint32_t rings, std::uint64_t limit) noexcept;

}  // namespace gyre
