#include "service/Predecessor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/LogFormat.h"
#include "service/NewProcess.h"

namespace gyre {
namespace {

struct NamedPipe {
  int descriptor;
  ino_t inode;
};

template <typename Number>
bool parseWhole(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

// "DESCRIPTOR:INODE", and nothing else.
std::optional<NamedPipe> parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  NamedPipe named{};
  if (colon == std::string_view::npos || !parseWhole(text.substr(0, colon), named.descriptor) ||
      !parseWhole(text.substr(colon + 1), named.inode)) {
    return std::nullopt;
  }
  return named;
}

bool isForThisProcess() {
  const char* pid = std::getenv("LISTEN_PID");
  return pid != nullptr && std::to_string(::getpid()) == pid;
}

bool isThatPipe(const NamedPipe& named) {
  struct stat status {};
  if (named.descriptor <= STDERR_FILENO || ::fstat(named.descriptor, &status) != 0) return false;
  const int flags = ::fcntl(named.descriptor, F_GETFL);
  return S_ISFIFO(status.st_mode) && status.st_ino == named.inode && flags >= 0 &&
         (flags & O_ACCMODE) == O_WRONLY;
}

// The old process may have died meanwhile: all the more is this one wanted. What SIGPIPE does is
// the user's, for the whole process, so that it is kept from this thread for the one write.
void writeWithoutSignal(int pipe, const SuccessionReport& report) noexcept {
  sigset_t brokenPipe;
  sigset_t before;
  sigset_t pending;
  ::sigemptyset(&brokenPipe);
  ::sigaddset(&brokenPipe, SIGPIPE);
  ::sigpending(&pending);
  ::pthread_sigmask(SIG_BLOCK, &brokenPipe, &before);
  const ssize_t written = ::write(pipe, &report, sizeof report);
  if (written < 0 && errno == EPIPE && ::sigismember(&pending, SIGPIPE) == 0) {
    const timespec noWait{};
    while (::sigtimedwait(&brokenPipe, nullptr, &noWait) < 0 && errno == EINTR) continue;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

UniqueFd Predecessor::takePipe() {
  const char* variable = std::getenv(kSuccessionVariable);
  if (variable == nullptr) return UniqueFd();
  const std::string text = variable;
  ::unsetenv(kSuccessionVariable);
  const std::optional<NamedPipe> named = parse(text);
  if (!named || !isForThisProcess() || !isThatPipe(*named)) {
    logWarn("{}={} was not meant for this process: ignored", kSuccessionVariable, text);
    return UniqueFd();
  }
  ::fcntl(named->descriptor, F_SETFD, FD_CLOEXEC);
  return UniqueFd(named->descriptor);
}

void Predecessor::announce(EventLoop* loop, UniqueFd pipe, std::function<void()> onReleased) {
  const SocketHandle handle = loop->proactor().adopt(pipe.get());
  auto predecessor = std::make_shared<Predecessor>(loop, handle, std::move(onReleased));
  loop->addResident(predecessor);
  writeWithoutSignal(pipe.release(), {SuccessionReport::Kind::Serves, ::getpid()});
  loop->proactor().poll(predecessor->poll_, handle, 0);  // POLLERR: the reading end is closed
}

Predecessor::Predecessor(EventLoop* loop, SocketHandle pipe, std::function<void()> onReleased)
    : loop_(loop),
      pipe_(pipe),
      onReleased_(std::move(onReleased)),
      poll_(&Predecessor::handlePoll) {}

void Predecessor::beginClose() noexcept { loop_->proactor().cancel(poll_); }

void Predecessor::handlePoll(IoContext& context, const IoResult& result) noexcept {
  Predecessor& self = ownerOf<&Predecessor::poll_>(context);
  self.loop_->proactor().close(self.pipe_);
  try {
    if (result.error != ECANCELED) self.onReleased_();
  } catch (const std::exception& error) {
    logError("what follows a hot restart failed: {}", error.what());
  }
  self.loop_->removeResident(self);
}

}  // namespace gyre
