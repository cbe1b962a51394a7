#include "service/SystemdNotifier.h"

#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/LogFormat.h"

namespace gyre {
namespace {

constexpr std::chrono::milliseconds kRetryInterval{50};
// Of the watchdog's period half is used. A period may be 1 us or years.
constexpr std::chrono::microseconds kPingIntervalMin{1000};
constexpr std::chrono::microseconds kPingIntervalMax = std::chrono::hours(1);

}  // namespace

SystemdNotifier::SystemdNotifier(EventLoop* loop) : loop_(loop), retry_(loop, [this] { flush(); }) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return;
  const std::size_t size = std::strlen(path);
  if ((path[0] != '/' && path[0] != '@') || size < 2 || size >= sizeof address_.sun_path) {
    logWarn("NOTIFY_SOCKET={} is no address of a unix socket: ignored", path);
    return;
  }
  address_.sun_family = AF_UNIX;
  std::memcpy(address_.sun_path, path, size);
  const bool isAbstract = path[0] == '@';
  if (isAbstract) address_.sun_path[0] = '\0';
  addressLength_ =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size + (isAbstract ? 0 : 1));
}

SystemdNotifier::~SystemdNotifier() { stopWatchdog(); }

void SystemdNotifier::notify(std::string state, std::function<void()> onSent) {
  messages_.push_back({std::move(state), std::move(onSent)});
  if (messages_.size() == 1) flush();
}

void SystemdNotifier::flush() {
  while (!messages_.empty()) {
    if (!trySend(messages_.front().state)) return retry_.set(kRetryInterval);
    const std::function<void()> onSent = std::move(messages_.front().onSent);
    messages_.pop_front();
    if (onSent) onSent();
  }
}

bool SystemdNotifier::trySend(std::string_view state) noexcept {
  if (addressLength_ == 0) return true;
  if (!socket_) socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return false;  // no descriptor is free
  const auto* to = reinterpret_cast<const sockaddr*>(&address_);
  const ssize_t sent =
      ::sendto(socket_.get(), state.data(), state.size(), MSG_NOSIGNAL, to, addressLength_);
  if (sent >= 0) return true;
  const bool isLater = errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == EINTR;
  if (!isLater && !std::exchange(isFaultLogged_, true)) {
    logWarn("systemd is not notified: NOTIFY_SOCKET cannot be reached: {}", std::strerror(errno));
  }
  return !isLater;
}

void SystemdNotifier::startWatchdog() {
  std::uint64_t micros = 0;
  if (::sd_watchdog_enabled(0, &micros) <= 0) return;
  const auto half = static_cast<std::int64_t>(micros / 2);
  const auto interval =
      std::clamp(std::chrono::microseconds(half), kPingIntervalMin, kPingIntervalMax);
  watchdog_ = loop_->runEvery(interval, [this] { ping(); });
  ping();
}

void SystemdNotifier::stopWatchdog() { loop_->cancel(std::exchange(watchdog_, {})); }

// One that cannot be sent is not worth keeping: the next one says more.
void SystemdNotifier::ping() {
  if (messages_.empty()) trySend("WATCHDOG=1");
}

}  // namespace gyre
