#include "gyre/service/ServiceRunner.h"

#include <unistd.h>

#include <csignal>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/base/Check.h"
#include "gyre/loop/SignalWatcher.h"
#include "gyre/server/TcpServer.h"
#include "server/InheritedListeners.h"
#include "service/ListenerEnvironment.h"
#include "service/Predecessor.h"
#include "service/Succession.h"
#include "service/SystemdNotifier.h"

namespace gyre {

class ServiceRunner::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(EventLoop* loop, const ServiceOptions& options)
      : loop_(loop), options_(options), systemd_(loop) {}

  void prepare();
  void add(TcpServer* server);
  void run();

 private:
  // The loop, and what lives there, keeps callbacks longer than this may live.
  template <typename... Arguments>
  auto whileAlive(void (Impl::*method)(Arguments...)) {
    return [weak = weak_from_this(), method](Arguments... arguments) {
      if (const auto self = weak.lock()) (self.get()->*method)(arguments...);
    };
  }
  struct Served {
    TcpServer* server;
    std::function<void()> ended;  // serverEnded(), made beforehand: the first try needs no memory
    bool isDraining = false;      // it will be called
  };

  void dropListeners();
  void becomeMain();
  void handleSignal(int signal);
  void beginSuccession();
  void handleSuccession(const Succession::Result& result);
  void keepUnixPaths() noexcept;
  void giveWay();
  void drain();
  void drain(Served& served);
  void serverEnded();

  EventLoop* const loop_;
  const ServiceOptions options_;
  SystemdNotifier systemd_;
  UniqueFd predecessor_;  // the pipe to the process that this one takes over from
  std::vector<Served> servers_;
  std::size_t serversEnded_ = 0;
  bool isEnding_ = false;
  bool isSucceeding_ = false;  // a new process is starting
};

void ServiceRunner::Impl::prepare() {
  SignalWatcher::watch(loop_, {SIGINT, SIGTERM, SIGUSR2}, whileAlive(&Impl::handleSignal));
  predecessor_ = Predecessor::takePipe();
  readInheritedListeners(InheritedListeners::ofProcess());
}

void ServiceRunner::Impl::add(TcpServer* server) {
  servers_.push_back({server, whileAlive(&Impl::serverEnded)});
  if (servers_.size() > 1) InheritedListeners::ofProcess().shareAmongServers();
  if (isEnding_) drain(servers_.back());
}

void ServiceRunner::Impl::run() {
  GYRE_CHECK(!servers_.empty(), "a ServiceRunner runs servers: add them first");
  for (const Served& served : servers_) {
    if (!served.server->isStarted()) served.server->start();
  }
  dropListeners();
  if (predecessor_) {
    Predecessor::announce(loop_, std::move(predecessor_), whileAlive(&Impl::becomeMain));
  } else {
    becomeMain();
  }
  loop_->loop();
}

// A socket that nobody serves would keep its clients waiting.
void ServiceRunner::Impl::dropListeners() {
  for (const auto& socket : InheritedListeners::ofProcess().takeAll()) {
    logWarn(
        "the inherited socket {} ({}) belongs to no server and is closed: name it after one "
        "(FileDescriptorName=)",
        socket.address.toString(), socket.name);
  }
}

// systemd listens to the process that it takes for the main one (NotifyAccess=main).
void ServiceRunner::Impl::becomeMain() {
  for (const Served& served : servers_) served.server->takeUnixPaths();
  if (!isEnding_) systemd_.notify("READY=1\nMAINPID=" + std::to_string(::getpid()));
  systemd_.startWatchdog();
}

void ServiceRunner::Impl::handleSignal(int signal) {
  if (signal == SIGUSR2) return beginSuccession();
  if (!isEnding_) {
    drain();
    return systemd_.notify("STOPPING=1");  // last: it needs memory
  }
  drain();  // those for which memory was missing
  for (const Served& served : servers_) served.server->stop();
}

void ServiceRunner::Impl::drain() {
  isEnding_ = true;
  for (Served& served : servers_) drain(served);
}

void ServiceRunner::Impl::drain(Served& served) {
  if (served.isDraining) return;
  auto ended = std::exchange(served.ended, nullptr);
  if (!ended) ended = whileAlive(&Impl::serverEnded);
  served.server->drain(options_.drainTime, std::move(ended));
  served.isDraining = true;
}

void ServiceRunner::Impl::serverEnded() {
  if (++serversEnded_ == servers_.size()) loop_->quit();
}

void ServiceRunner::Impl::beginSuccession() {
  if (isEnding_) return logWarn("SIGUSR2: this process is ending, none is started");
  if (isSucceeding_) return logWarn("SIGUSR2: a new process is starting already");
  try {
    std::vector<HandedListener> listeners;
    for (const Served& served : servers_) {
      for (HandedListener& one : served.server->listenersToHandOver())
        listeners.push_back(std::move(one));
    }
    Succession::begin(loop_, listeners, whileAlive(&Impl::handleSuccession));
    isSucceeding_ = true;
  } catch (const std::exception& error) {
    logError("SIGUSR2: {}: this process goes on", error.what());
  }
}

void ServiceRunner::Impl::handleSuccession(const Succession::Result& result) {
  if (result.successor == 0) {
    isSucceeding_ = false;
    return logError("SIGUSR2: {}: this process goes on", result.cause);
  }
  if (!isEnding_) {
    // Not earlier than systemd knows: the end of the main process would be that of the service.
    // Without memory for it this throws: then this process goes on, and the new one is ended.
    systemd_.notify("MAINPID=" + std::to_string(result.successor), whileAlive(&Impl::giveWay));
    logInfo("the new process {} serves: this one drains", result.successor);
  }
  isSucceeding_ = false;
  keepUnixPaths();
}

// The new process owns them as soon as it is released.
void ServiceRunner::Impl::keepUnixPaths() noexcept {
  for (const Served& served : servers_) served.server->keepUnixPaths();
}

void ServiceRunner::Impl::giveWay() {
  systemd_.stopWatchdog();
  keepUnixPaths();
  if (!isEnding_) drain();
}

namespace {

std::vector<UniqueFd> descriptorsOf(std::vector<InheritedListeners::Socket> sockets) {
  std::vector<UniqueFd> descriptors;
  for (auto& socket : sockets) descriptors.push_back(std::move(socket.descriptor));
  return descriptors;
}

}  // namespace

ServiceRunner::ServiceRunner(EventLoop* loop, const ServiceOptions& options)
    : impl_(std::make_shared<Impl>(loop, options)) {
  impl_->prepare();
}

// What nobody has taken must not stay for servers of a later runner.
ServiceRunner::~ServiceRunner() { InheritedListeners::ofProcess().takeAll(); }

std::vector<UniqueFd> ServiceRunner::takeListeners() {
  return descriptorsOf(InheritedListeners::ofProcess().takeAll());
}
std::vector<UniqueFd> ServiceRunner::takeListeners(std::string_view name) {
  return descriptorsOf(InheritedListeners::ofProcess().takeNamed(name));
}
void ServiceRunner::add(TcpServer* server) { impl_->add(server); }
void ServiceRunner::run() { impl_->run(); }

}  // namespace gyre
