// Bulk streams of the io_uring engine.
//
// A stream that fills one small buffer after the other pays a completion for each, in memory that
// is never hot. Once that is seen it is only watched for input, and received directly into one
// large buffer that all such streams of the loop share: between two of them it is lent to nobody.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "proactor/uring/UringProactor.h"

namespace gyre {
namespace {

// A stream is bulk after so many full buffers in a row with more behind each, and calm after so
// many small receives.
constexpr std::int16_t kFullForBulk = 4;
constexpr std::int16_t kSmallForCalm = 8;

}  // namespace

// The multishot is ended for it; what it had taken by then comes first, in order.
void UringProactor::watchForBulk(IoContext& context, std::size_t bytes) noexcept {
  std::int16_t& fullInARow = context.state().error;
  fullInARow = std::max<std::int16_t>(fullInARow, 0);
  if (bytes < buffers_.bufferSize() || !context.has(kDataWaits)) {
    fullInARow = 0;
    return;
  }
  if (++fullInARow < kFullForBulk) return;
  fullInARow = 0;
  if (options_.bulkBufferSize == 0 || context.has(kBulkWanted) || isCancelled(context)) return;
  context.set(kBulkWanted);
  if (context.has(IoContext::kArmed)) queueCancel(context);
}

void UringProactor::beginBulk(IoContext& context) noexcept {
  context.clear(kBulkWanted);
  if (!bulkBuffer_) bulkBuffer_ = MappedMemory::map(options_.bulkBufferSize);
  if (!bulkBuffer_) return;
  context.set(kBulk);
  context.state().error = 0;
}

// There is input, or the end of it. At most one buffer of it in a turn.
void UringProactor::handleBulk(IoContext& context, int result) {
  if (isCancelled(context)) return resume(context);
  if (result < 0) return handleReceiveEnd(context, -result);
  int received = receiveNow(context);
  // A send may have taken the error that the poll has seen: it ran between, and reports it later.
  if (received == 0 && (result & POLLERR) != 0) received = -ECONNRESET;
  if (received <= 0) return handleReceiveEnd(context, -received);
  const auto bytes = static_cast<std::size_t>(received);
  counters_.bytesReceived.add(bytes);
  counters_.completed(IoKind::Receive).add();
  context.complete({.more = true, .bytes = bytes, .data = bulkBuffer_.data()});
  std::int16_t& smallInARow = context.state().error;
  smallInARow = bytes < buffers_.bufferSize() ? static_cast<std::int16_t>(smallInARow + 1) : 0;
  if (smallInARow >= kSmallForCalm) context.clear(kBulk);
  resume(context);
}

int UringProactor::receiveNow(const IoContext& context) noexcept {
  if (ring_.sendLimit(1) == 0) return -EAGAIN;
  const ssize_t received =
      ::recv(context.socket().value(), bulkBuffer_.data(), bulkBuffer_.size(), MSG_DONTWAIT);
  return received < 0 ? -errno : static_cast<int>(received);
}

}  // namespace gyre
