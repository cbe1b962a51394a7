#include "gyre/net/ServiceRunner.h"

#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/base/Check.h"
#include "gyre/loop/SignalWatcher.h"
#include "gyre/net/TcpServer.h"
#include "net/Succession.h"

namespace gyre {

class ServiceRunner::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(EventLoop* loop, const ServiceOptions& options) : loop_(loop), options_(options) {}

  void prepare();

  std::vector<UniqueFd> takeListeners() { return std::exchange(listeners_, {}); }
  void add(TcpServer* server) { servers_.push_back(server); }
  void run();

 private:
  void inherit();
  void startWatchdog();
  void handleSignal(int signal);
  void beginSuccession();
  void handleSuccession(bool serves);
  void drain();
  void serverEnded();

  EventLoop* const loop_;
  const ServiceOptions options_;
  std::vector<UniqueFd> listeners_;
  std::vector<TcpServer*> servers_;
  std::size_t serversEnded_ = 0;
  bool isEnding_ = false;
  bool isSucceeding_ = false;  // a new process is starting
};

void ServiceRunner::Impl::prepare() {
  // The loop keeps the watcher longer than this may live.
  const auto handle = [weak = weak_from_this()](int signal) {
    if (const auto self = weak.lock()) self->handleSignal(signal);
  };
  SignalWatcher::watch(loop_, {SIGINT, SIGTERM, SIGUSR2}, handle);
  inherit();
}

void ServiceRunner::Impl::inherit() {
  constexpr int kUnsetEnvironment = 1;
  const int count = ::sd_listen_fds(kUnsetEnvironment);
  if (count < 0) {
    throw std::system_error(-count, std::generic_category(),
                            "cannot take over the sockets of LISTEN_FDS");
  }
  for (int i = 0; i < count; ++i) listeners_.emplace_back(SD_LISTEN_FDS_START + i);
}

void ServiceRunner::Impl::run() {
  GYRE_CHECK(!servers_.empty(), "a ServiceRunner runs servers: add them first");
  // A socket that nobody serves would keep its clients waiting.
  if (!listeners_.empty()) logWarn("{} inherited sockets were not taken", listeners_.size());
  listeners_.clear();
  startWatchdog();
  // The process that systemd watches is this one, also when another one had started it.
  ::sd_notifyf(0, "READY=1\nMAINPID=%d", ::getpid());
  Succession::announce();
  loop_->loop();
}

void ServiceRunner::Impl::startWatchdog() {
  std::uint64_t micros = 0;
  if (::sd_watchdog_enabled(0, &micros) <= 0) return;
  // Twice per period, as sd_watchdog_enabled(3) asks for.
  loop_->runEvery(std::chrono::microseconds(micros / 2), [] { ::sd_notify(0, "WATCHDOG=1"); });
}

void ServiceRunner::Impl::handleSignal(int signal) {
  if (signal == SIGUSR2) return beginSuccession();
  if (!std::exchange(isEnding_, true)) {
    ::sd_notify(0, "STOPPING=1");
    return drain();
  }
  for (TcpServer* server : servers_) server->stop();
}

void ServiceRunner::Impl::drain() {
  isEnding_ = true;
  for (TcpServer* server : servers_) {
    server->drain(options_.drainTime, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->serverEnded();
    });
  }
}

void ServiceRunner::Impl::serverEnded() {
  if (++serversEnded_ == servers_.size()) loop_->quit();
}

void ServiceRunner::Impl::beginSuccession() {
  if (isEnding_ || std::exchange(isSucceeding_, true)) return;
  std::vector<int> listeners;
  for (const TcpServer* server : servers_) {
    for (const int descriptor : server->listenerDescriptors()) listeners.push_back(descriptor);
  }
  try {
    Succession::begin(loop_, listeners, [weak = weak_from_this()](bool serves) {
      if (const auto self = weak.lock()) self->handleSuccession(serves);
    });
  } catch (const std::system_error& error) {
    isSucceeding_ = false;
    logError("{}", error.what());
  }
}

void ServiceRunner::Impl::handleSuccession(bool serves) {
  isSucceeding_ = false;
  if (!serves) return logError("the new process has ended before it served: this one goes on");
  if (isEnding_) return;
  logInfo("the new process serves: this one drains");
  for (TcpServer* server : servers_) server->keepUnixPaths();
  drain();
}

ServiceRunner::ServiceRunner(EventLoop* loop, const ServiceOptions& options)
    : impl_(std::make_shared<Impl>(loop, options)) {
  impl_->prepare();
}

ServiceRunner::~ServiceRunner() = default;

std::vector<UniqueFd> ServiceRunner::takeListeners() { return impl_->takeListeners(); }
void ServiceRunner::add(TcpServer* server) { impl_->add(server); }
void ServiceRunner::run() { impl_->run(); }

}  // namespace gyre
