#include "net/Succession.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
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
  loop->proactor().read(
      succession->read_, succession->pipe_,
      {reinterpret_cast<char*>(&succession->report_), sizeof succession->report_});
}

Succession::Succession(EventLoop* loop, SocketHandle pipe, std::string program, Callback onResult)
    : loop_(loop),
      pipe_(pipe),
      program_(std::move(program)),
      onResult_(std::move(onResult)),
      read_(&Succession::handleRead) {}

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

// Closing the pipe is what the new process waits for.
void Succession::handleRead(IoContext& context, const IoResult& result) noexcept {
  Succession& self = ownerOf<&Succession::read_>(context);
  try {
    if (result.error != ECANCELED) self.onResult_(self.judge(result));
  } catch (const std::exception& error) {
    logError("a hot restart was not carried through: {}", error.what());
  }
  self.loop_->proactor().close(self.pipe_);
  self.loop_->removeResident(self);
}

}  // namespace gyre
