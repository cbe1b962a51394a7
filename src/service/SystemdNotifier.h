// SystemdNotifier: what this process reports to systemd (sd_notify(3)), never waiting for it.
//
// libsystemd's own call blocks while systemd does not read, and with it the loop.
//
// Thread  The loop's.
// Owns    The socket to NOTIFY_SOCKET, and what could not be sent yet.
// Borrows The loop.
#pragma once

#include <sys/un.h>

#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "gyre/base/UniqueFd.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/loop/ReservedTimer.h"

namespace gyre {

class SystemdNotifier {
 public:
  // Reads NOTIFY_SOCKET. Without it, or where it is no address, nothing is reported.
  explicit SystemdNotifier(EventLoop* loop);
  SystemdNotifier(const SystemdNotifier&) = delete;
  SystemdNotifier& operator=(const SystemdNotifier&) = delete;
  ~SystemdNotifier();

  // In the order of the calls. `onSent` runs, possibly inside this call, once systemd has taken it,
  // or cannot be reached at all. Where it throws (std::bad_alloc), nothing is sent.
  void notify(std::string state, std::function<void()> onSent = {});
  // Pings as often as the watchdog asks for (sd_watchdog_enabled(3)), the first time at once; not
  // at all when this process is not watched.
  void startWatchdog();
  void stopWatchdog();

 private:
  struct Message {
    std::string state;
    std::function<void()> onSent;
  };

  // False: later. What systemd cannot take at all counts as sent.
  bool trySend(std::string_view state) noexcept;
  void flush();
  void ping();

  EventLoop* const loop_;
  sockaddr_un address_{};
  socklen_t addressLength_ = 0;  // 0: nobody to report to
  UniqueFd socket_;
  std::deque<Message> messages_;
  bool isFaultLogged_ = false;
  ReservedTimer retry_;
  TimerId watchdog_;
};

}  // namespace gyre
