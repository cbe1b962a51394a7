#include "gyre/loop/SignalWatcher.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <system_error>
#include <utility>

#include "base/LogFormat.h"

namespace gyre {

std::shared_ptr<SignalWatcher> SignalWatcher::watch(EventLoop* loop,
                                                    std::initializer_list<int> numbers,
                                                    Callback callback) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : numbers) ::sigaddset(&set, number);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const int fd = ::signalfd(-1, &set, SFD_CLOEXEC);
  if (fd < 0) {
    const bool isFull = errno == EMFILE || errno == ENFILE;
    throw std::system_error(
        errno, std::generic_category(),
        isFull ? "cannot watch signals (raise RLIMIT_NOFILE: ulimit -n)" : "cannot watch signals");
  }
  const SocketHandle handle = loop->proactor().adopt(fd);
  auto watcher = std::make_shared<SignalWatcher>(loop, handle, std::move(callback));
  loop->addResident(watcher);
  loop->proactor().read(watcher->read_, handle,
                        {reinterpret_cast<char*>(&watcher->info_), sizeof watcher->info_});
  return watcher;
}

void SignalWatcher::quitOn(EventLoop* loop, std::initializer_list<int> numbers) {
  watch(loop, numbers, [loop](int) { loop->quit(); });
}

SignalWatcher::SignalWatcher(EventLoop* loop, SocketHandle handle, Callback callback)
    : loop_(loop),
      handle_(handle),
      callback_(std::move(callback)),
      read_(&SignalWatcher::handleRead) {}

void SignalWatcher::end(int error) {
  if (error != ECANCELED) {
    logError("signals are no longer watched, and stay blocked: {}", std::strerror(error));
  }
  loop_->proactor().close(handle_);
  loop_->removeResident(*this);
}

void SignalWatcher::beginClose() noexcept { loop_->proactor().cancel(read_); }

void SignalWatcher::handleRead(IoContext& context, const IoResult& result) noexcept {
  SignalWatcher& self = ownerOf<&SignalWatcher::read_>(context);
  Proactor& proactor = self.loop_->proactor();
  if (result.error != 0 || result.bytes != sizeof self.info_) return self.end(result.error);
  const auto signal = static_cast<int>(self.info_.ssi_signo);
  proactor.read(self.read_, self.handle_,
                {reinterpret_cast<char*>(&self.info_), sizeof self.info_});
  try {
    self.callback_(signal);
  } catch (const std::exception& error) {
    logError("the callback of signal {} threw: {}", signal, error.what());
    proactor.mutableCounters().callbackFailures.add();
  } catch (...) {
    logError("the callback of signal {} threw something that is no std::exception", signal);
    proactor.mutableCounters().callbackFailures.add();
  }
}

}  // namespace gyre
