// HeldSignals: signals that come while a program sets up wait for the watcher that comes after it.
//
// Thread  The one that made it; threads started meanwhile inherit it.
// Ends    By release(), which an exception brings with it: from then on a signal ends the program,
//         also one that waits for somebody to read what it prints. Otherwise they stay held.
#pragma once

#include <csignal>
#include <ctime>
#include <exception>
#include <initializer_list>

namespace gyre {

class HeldSignals {
 public:
  explicit HeldSignals(std::initializer_list<int> numbers) noexcept
      : exceptions_(std::uncaught_exceptions()) {
    ::sigemptyset(&signals_);
    for (const int number : numbers) ::sigaddset(&signals_, number);
    ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  ~HeldSignals() {
    if (std::uncaught_exceptions() > exceptions_) release();
  }

  // Those that came and were not looked at meant what is over now: they are dropped.
  void release() noexcept {
    const timespec noWait{};
    while (::sigtimedwait(&signals_, nullptr, &noWait) > 0) continue;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  const int exceptions_;
  sigset_t signals_;
  sigset_t before_;
};

}  // namespace gyre
