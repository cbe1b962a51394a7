#include "proactor/PausedAccepts.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/LogFormat.h"

namespace gyre {
namespace {

constexpr std::chrono::milliseconds kShortest{10};
constexpr std::chrono::milliseconds kLongest{1000};

std::chrono::milliseconds backOff(int failures) {
  return std::min(kShortest * (1 << std::min(failures - 1, 7)), kLongest);
}

}  // namespace

bool isExhaustion(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

bool isFaultOfPeer(int error) noexcept {
  switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM:  // a firewall rule
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT: return true;
    default: return false;
  }
}

void PausedAccepts::pause(IoContext& context, int error, TimePoint now, LoopCounters& counters) {
  const bool descriptors = error == EMFILE || error == ENFILE;
  (descriptors ? counters.acceptsNoDescriptors : counters.acceptsNoMemory).add();
  if (failures_++ == 0) {
    logWarn(
        "accepting on {} pauses: {}; clients wait in the backlog until a connection closes ({})",
        proactor_.localAddress(context.socket()), std::strerror(error),
        descriptors ? "raise RLIMIT_NOFILE, or limit the connections" : "memory is short");
  }
  deadline_ = now + backOff(failures_);
  paused_.push(context);
  waiter_.start();
}

void PausedAccepts::cancelAll(SocketHandle listener) noexcept {
  IoQueue none;
  const auto ask = [listener](IoContext& context) {
    if (context.socket() == listener) context.set(IoContext::kCancelRequested);
    return false;
  };
  paused_.moveIf(ask, none);
}

void PausedAccepts::takeDue(TimePoint now, IoQueue& due) {
  if (paused_.isEmpty()) return;
  if (waiter_.takeReleased() || now >= deadline_) {
    while (IoContext* context = paused_.pop()) due.push(*context);
    waiter_.stop();
    return;
  }
  paused_.moveIf([](const IoContext& context) { return context.isCancelRequested(); }, due);
  if (paused_.isEmpty()) waiter_.stop();
}

void PausedAccepts::forget() noexcept {
  failures_ = 0;
  if (paused_.isEmpty()) waiter_.stop();
}

}  // namespace gyre
