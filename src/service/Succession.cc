#include "service/Succession.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/base/UniqueFd.h"

namespace gyre {
namespace {

[[noreturn]] void throwErrno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

void Succession::begin(EventLoop* loop, const std::vector<HandedListener>& listeners,
                       Callback onResult) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throwErrno("cannot start the new process: no pipe");
  UniqueFd readEnd(ends[0]);
  const UniqueFd writeEnd(ends[1]);
  NewProcess process(listeners, writeEnd.get());
  // What may fail comes before the start: a process that nobody waits for would serve beside us.
  auto succession = std::make_shared<Succession>(loop, loop->proactor().adopt(readEnd.get()),
                                                 process.program(), std::move(onResult));
  loop->addResident(succession);
  if (!process.start()) {
    const int error = errno;
    loop->removeResident(*succession);
    errno = error;
    throwErrno("cannot start the new process (RLIMIT_NPROC, memory)");
  }
  [[maybe_unused]] const int owned = readEnd.release();
  succession->read();
}

Succession::Succession(EventLoop* loop, SocketHandle pipe, std::string program, Callback onResult)
    : loop_(loop),
      pipe_(pipe),
      program_(std::move(program)),
      onResult_(std::move(onResult)),
      read_(&Succession::handleRead) {}

void Succession::read() noexcept {
  report_ = {};
  loop_->proactor().read(read_, pipe_, {reinterpret_cast<char*>(&report_), sizeof report_});
}

void Succession::beginClose() noexcept { loop_->proactor().cancel(read_); }

// Without memory to say why it is still said that it does not serve: another try must be possible.
Succession::Result Succession::judge(const IoResult& result) const noexcept {
  const bool isWhole = result.error == 0 && result.bytes == sizeof report_;
  try {
    if (isWhole && report_.kind == SuccessionReport::Kind::Serves && report_.value > 0) {
      return {report_.value};
    }
    if (isWhole && report_.kind == SuccessionReport::Kind::Failed) {
      return {0,
              "cannot start " + program_ + ": " + std::generic_category().message(report_.value)};
    }
    return {0, "the new process has ended before it served (" + program_ + ")"};
  } catch (const std::bad_alloc&) {
    return {};
  }
}

// False when it threw.
bool Succession::report(const Result& result) noexcept {
  try {
    onResult_(result);
    return true;
  } catch (const std::exception& error) {
    logError("a hot restart was not carried through: {}", error.what());
    return false;
  }
}

// Closing the pipe is what the new process waits for. One that is to end must not see that: it
// would tell systemd that it is the main process. Its own end of the pipe goes with it.
void Succession::handleRead(IoContext& context, const IoResult& result) noexcept {
  Succession& self = ownerOf<&Succession::read_>(context);
  if (result.error != ECANCELED) {
    const Result judged = self.judge(result);
    if (!self.report(judged) && judged.successor > 0) {
      ::kill(judged.successor, SIGTERM);
      return self.read();
    }
  }
  self.loop_->proactor().close(self.pipe_);
  self.loop_->removeResident(self);
}

}  // namespace gyre
