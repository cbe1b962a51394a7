#include "gyre/loop/SignalWatcher.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <system_error>
#include <utility>

#include "base/LogFormat.h"
#include "loop/BlockedSignals.h"

namespace gyre {
namespace {

constexpr std::chrono::milliseconds kRetryInterval{100};

}  // namespace

std::shared_ptr<SignalWatcher> SignalWatcher::watch(EventLoop* loop,
                                                    std::initializer_list<int> numbers,
                                                    Callback callback) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : numbers) ::sigaddset(&set, number);
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  try {
    auto watcher = open(loop, set, std::move(callback));
    noteBlockedSignals(set, before);
    return watcher;
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
}

std::shared_ptr<SignalWatcher> SignalWatcher::open(EventLoop* loop, const sigset_t& set,
                                                   Callback callback) {
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!fd) {
    const bool isFull = errno == EMFILE || errno == ENFILE;
    throw std::system_error(
        errno, std::generic_category(),
        isFull ? "cannot watch signals (raise RLIMIT_NOFILE: ulimit -n)" : "cannot watch signals");
  }
  auto watcher = std::make_shared<SignalWatcher>(loop, std::move(fd), std::move(callback));
  loop->addResident(watcher);
  watcher->handle_ = loop->proactor().adopt(watcher->fd_.release());
  watcher->read();
  return watcher;
}

void SignalWatcher::quitOn(EventLoop* loop, std::initializer_list<int> numbers) {
  watch(loop, numbers, [loop](int) { loop->quit(); });
}

SignalWatcher::SignalWatcher(EventLoop* loop, UniqueFd fd, Callback callback)
    : loop_(loop),
      fd_(std::move(fd)),
      callback_(std::move(callback)),
      read_(&SignalWatcher::handleRead),
      retry_(loop, [this] { read(); }) {}

SignalWatcher::~SignalWatcher() = default;

void SignalWatcher::read() noexcept {
  loop_->proactor().read(read_, handle_, {reinterpret_cast<char*>(&info_), sizeof info_});
}

void SignalWatcher::end(int error) noexcept {
  if (error != ECANCELED) {
    logError("signals are no longer watched, and stay blocked: {}", std::strerror(error));
  }
  retry_.end();
  loop_->proactor().close(std::exchange(handle_, {}));
  loop_->removeResident(*this);
}

void SignalWatcher::beginClose() noexcept {
  loop_->assertInLoopThread();
  if (!handle_.isValid() || std::exchange(isClosing_, true)) return;
  loop_->proactor().cancel(read_);
  loop_->markDirty(*this);
}

void SignalWatcher::settle() noexcept {
  if (isClosing_ && handle_.isValid() && !read_.isInFlight()) end(ECANCELED);
}

void SignalWatcher::handleRead(IoContext& context, const IoResult& result) noexcept {
  SignalWatcher& self = ownerOf<&SignalWatcher::read_>(context);
  if (result.error == 0 && result.bytes == sizeof self.info_) {
    const auto signal = static_cast<int>(self.info_.ssi_signo);
    // One that had come before the cancel is still told.
    self.isClosing_ ? self.loop_->markDirty(self) : self.read();
    return self.handleSignal(signal);
  }
  if (self.isClosing_) return self.end(ECANCELED);
  // The signals wait in the kernel meanwhile.
  if (result.error == ENOMEM) return self.retry_.set(kRetryInterval);
  self.end(result.error);
}

void SignalWatcher::handleSignal(int signal) noexcept {
  LoopCounters& counters = loop_->proactor().mutableCounters();
  try {
    callback_(signal);
  } catch (const std::exception& error) {
    logError("the callback of signal {} threw: {}", signal, error.what());
    counters.callbackFailures.add();
  } catch (...) {
    logError("the callback of signal {} threw something that is no std::exception", signal);
    counters.callbackFailures.add();
  }
}

}  // namespace gyre
