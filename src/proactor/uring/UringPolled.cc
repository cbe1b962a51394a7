// How the io_uring engine learns what has come where a kernel thread polls the submission queue.
//
// That thread does the deferred work itself, some 32 pieces between two looks at the queue, and its
// turn may come late. A marker is a submission that does nothing. When nothing completes between
// two markers, the thread had no work left in between: all that came before the first is there.
#include <utility>

#include "proactor/uring/UringProactor.h"

namespace gyre {
namespace {

constexpr std::size_t kWorkBetweenMarkers = 32;
constexpr std::chrono::milliseconds kPatience{10};  // for a thread that has to be woken

}  // namespace

// Waits for the thread, so that no run comes back without anything.
int UringProactor::askPoller() noexcept {
  if (!poller_.isMarked) {
    poller_.isMarked = true;
    poller_.markedBefore = std::exchange(poller_.markedAt, now());
    io_uring_sqe& sqe = nextSqe();
    sqe.opcode = IORING_OP_NOP;
    sqe.user_data = kMarker;
  }
  counters_.enters.add();
  return ring_.enter(1, kPatience);
}

// Where there is always something, each operation has had its turn after a number of markers.
void UringProactor::handleMarker(std::uint64_t userData) noexcept {
  if (userData != kMarker) return;
  poller_.isMarked = false;
  const bool wasQuiet = std::exchange(poller_.isQuiet, true);
  if (poller_.busy == 0) poller_.busySince = poller_.markedBefore;
  if (wasQuiet) {
    noteTaken(poller_.markedBefore);
  } else if (++poller_.busy > 2 * operationsInFlight() / kWorkBetweenMarkers + 2) {
    noteTaken(poller_.busySince);
  } else {
    return;
  }
  poller_.busy = 0;
}

}  // namespace gyre
