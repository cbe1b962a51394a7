#include "Output.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <string_view>
#include <thread>
#include <utility>

namespace gyre {
namespace {

// Past stdio: the end of the program locks its buffers, and would wait for this write.
void writeAll(std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (written < 0 && errno == EAGAIN) {
      pollfd writable = {STDOUT_FILENO, POLLOUT, 0};
      ::poll(&writable, 1, -1);
    } else if (written == 0 || errno != EINTR) {
      return;
    }
  }
}

}  // namespace

PrintedBeside::PrintedBeside(std::string text) {
  std::promise<void> promise;
  written_ = promise.get_future();
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // signals belong to the loops' threads
  try {
    std::thread([promise = std::move(promise), text = std::move(text)]() mutable {
      writeAll(text);
      promise.set_value();
    }).detach();
  } catch (const std::exception&) {  // serving is worth more than saying so
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// Without a thread the promise is broken, and there is nothing to wait for.
PrintedBeside::~PrintedBeside() { written_.wait_for(std::chrono::seconds(1)); }

}  // namespace gyre
