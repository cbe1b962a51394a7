#include "fuzz/CallFaults.h"

#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>

#include "fuzz/CallTrap.h"
#include "net/AllocationCounter.h"

namespace gyre {
namespace {

struct ThreadFaults {
  CallFaults calls;
  std::uint64_t state = 0;
  int faultless = 0;  // scopes
  bool areOn = false;
};

thread_local ThreadFaults faults;
std::atomic<std::uint64_t> threads{0};

std::uint64_t draw() noexcept {
  SimRandom random(faults.state);
  faults.state = random.next();
  return faults.state >> 8;
}

bool happens(std::uint32_t perThousand) noexcept {
  return faults.areOn && perThousand != 0 && draw() % 1000 < perThousand;
}

int pick(std::initializer_list<int> errors) noexcept {
  return errors.begin()[draw() % errors.size()];
}

// No EAGAIN where there is none: no edge would tell of the room.
int judge(long number) noexcept {
  if (number == SYS_accept4) {
    if (!happens(faults.calls.accepts)) return 0;
    return pick({EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EINTR});
  }
  return happens(faults.calls.sends) ? pick({ENOBUFS, ENOMEM}) : 0;
}

void arm() noexcept {
  constexpr std::size_t kNever = ~std::size_t{0} / 2;
  const bool refuses = faults.areOn && faults.faultless == 0 && happens(faults.calls.allocations);
  refuseAllocation(refuses ? draw() % 20 : kNever);
}

}  // namespace

void beginCallFaults(const Scenario& scenario) noexcept {
  if (!scenario.calls.any()) return;
  faults.calls = scenario.calls;
  faults.state = scenario.seed * 1000 + threads.fetch_add(1);
  faults.areOn = true;
  if (scenario.calls.sends + scenario.calls.accepts > 0) trapCalls(&judge);
}

void endCallFaults() noexcept {
  faults.areOn = false;
  arm();
}

FaultlessScope::FaultlessScope() noexcept {
  ++faults.faultless;
  if (faults.areOn) arm();
}
FaultlessScope::~FaultlessScope() {
  --faults.faultless;
  if (faults.areOn) arm();
}
FaultyScope::FaultyScope() noexcept {
  --faults.faultless;
  if (faults.areOn) arm();
}
FaultyScope::~FaultyScope() {
  ++faults.faultless;
  if (faults.areOn) arm();
}

}  // namespace gyre
