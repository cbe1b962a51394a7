// What a server is told before it starts, its start, and its numbers. How it listens is in
// ServerListen.cc, how connections come in in ServerAccept.cc, how it ends in ServerEnd.cc.
#include "gyre/server/TcpServer.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "base/CallOrder.h"
#include "connection/ConnectionGroup.h"
#include "gyre/base/Check.h"
#include "gyre/server/Acceptor.h"
#include "server/AcceptGate.h"
#include "server/Admission.h"
#include "server/UnixPath.h"

namespace gyre {

TcpServer::TcpServer(EventLoop* loop, const InetAddress& listenAddress, std::string name)
    : loop_(loop), pool_(loop, name), stopCall_(makeRef<LoopCall>([this] { stopInLoop({}); })) {
  ConnectionGroup::Hooks hooks;
  hooks.onEmpty = [this] { finishStop(); };
  hooks.onCapacity = [this] { gate_->handleCapacity(); };
  auto group = makeRef<ConnectionGroup>(loop->mailbox(), std::move(hooks));
  admission_ = std::make_unique<Admission>(group);
  profile_ = makeRef<ConnectionProfile>(std::move(group));
  profile_->name = std::move(name);
  makeGate();
  addListener(listenAddress);
}

TcpServer::~TcpServer() {
  loop_->assertInLoopThread();
  GYRE_CHECK(!loop_->isDispatching(),
             "a TcpServer was destroyed inside an I/O callback: use stop() there");
  if (phase_ != Phase::New && phase_ != Phase::Stopped) {
    stopInLoop({});
    while (phase_ != Phase::Stopped) loop_->runOnce(loop_->now() + std::chrono::milliseconds(100));
  }
  stopCall_->disarm();
  profile_->group->forget();
}

// --- Before start

// Whatever a server has been told is read by all its loops once it has started.
void TcpServer::checkNotStarted(const char* call) const {
  checkCalledBefore(phase_ == Phase::New, call, "start()");
}

ConnectionProfile& TcpServer::profileBeforeStart(const char* call) {
  checkCalledBefore(
      phase_ == Phase::New, call, "start()",
      "call it before, or give a connection another profile (makeProfile, setProfile)");
  return *profile_;
}

void TcpServer::setThreadNum(int count) {
  checkNotStarted("setThreadNum");
  pool_.setThreadNum(count);
}
void TcpServer::setThreadInitCallback(ThreadInitCallback callback) {
  checkNotStarted("setThreadInitCallback");
  threadInit_ = std::move(callback);
}
void TcpServer::setCpus(std::vector<int> cpus) {
  checkNotStarted("setCpus");
  pool_.setCpus(std::move(cpus));
}
void TcpServer::setLoops(std::vector<EventLoop*> loops) {
  checkNotStarted("setLoops");
  pool_.setLoops(std::move(loops));
}
void TcpServer::setListenOptions(const ListenOptions& options) {
  checkNotStarted("setListenOptions");
  listeners_.front().options = options;
}
void TcpServer::setAcceptMode(AcceptMode mode) {
  checkNotStarted("setAcceptMode");
  acceptMode_ = mode;
}
void TcpServer::setPlacement(Placement placement) {
  checkNotStarted("setPlacement");
  placement_ = placement;
}
void TcpServer::setPlacement(PlacementCallback callback) {
  checkNotStarted("setPlacement");
  choosePlace_ = std::move(callback);
}

void TcpServer::addListener(const InetAddress& address, const ListenOptions& options) {
  checkNotStarted("addListener");
  Listener listener;
  listener.wanted = address;
  listener.address = address;
  listener.options = options;
  listeners_.push_back(std::move(listener));
}

void TcpServer::setLimits(const ServerLimits& limits) {
  checkNotStarted("setLimits");
  admission_->setLimits(limits);
}
void TcpServer::setAcceptFilter(AcceptFilter filter) {
  checkNotStarted("setAcceptFilter");
  admission_->setFilter(std::move(filter));
}
void TcpServer::setConnectionOptions(const ConnectionOptions& options) {
  profileBeforeStart("setConnectionOptions").options = options;
}
void TcpServer::setConnectionCallback(ConnectionCallback callback) {
  profileBeforeStart("setConnectionCallback").onConnection = std::move(callback);
}
void TcpServer::setMessageCallback(MessageCallback callback) {
  profileBeforeStart("setMessageCallback").onMessage = std::move(callback);
}
void TcpServer::setWriteCompleteCallback(WriteCompleteCallback callback) {
  profileBeforeStart("setWriteCompleteCallback").onWriteComplete = std::move(callback);
}
void TcpServer::setHighWaterMarkCallback(HighWaterMarkCallback callback,
                                         std::size_t highWaterMark) {
  ConnectionProfile& profile = profileBeforeStart("setHighWaterMarkCallback");
  profile.onHighWaterMark = std::move(callback);
  profile.options.highWaterMark = highWaterMark;
}
void TcpServer::setHalfCloseCallback(HalfCloseCallback callback) {
  profileBeforeStart("setHalfCloseCallback").onHalfClose = std::move(callback);
}
void TcpServer::setCloseCallback(CloseCallback callback) {
  profileBeforeStart("setCloseCallback").onClose = std::move(callback);
}
void TcpServer::setListenerFailedCallback(ListenerFailedCallback callback) {
  checkNotStarted("setListenerFailedCallback");
  onListenerFailed_ = std::move(callback);
}
void TcpServer::setDrainCallback(DrainCallback callback) {
  profileBeforeStart("setDrainCallback").onDrain = std::move(callback);
}

// --- Starting

namespace {

// So many sockets may be on their way to other loops: enough for any burst that these take at once,
// and no more than a part of the descriptors.
std::size_t arrivingMax() noexcept {
  constexpr std::size_t kMost = 1024;
  constexpr std::size_t kLeast = 16;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kMost;
  return std::clamp<std::size_t>(limit.rlim_cur / 8, kLeast, kMost);
}

}  // namespace

void TcpServer::start() {
  loop_->assertInLoopThread();
  GYRE_CHECK(phase_ == Phase::New, "a TcpServer was started twice");
  takeInherited();
  pool_.start(threadInit_);
  arrivals_.resize(pool_.getAllLoops().size());
  profile_->group->setLoops(pool_.getAllLoops());
  prepareEnd();
  profile_->group->setArrivingMax(arrivingMax());
  phase_ = Phase::Running;
  for (Listener& listener : listeners_) noteInherited(listener);
  // When one throws, those that listen already end with the destructor.
  for (Listener& listener : listeners_) open(listener);
}

// --- After start

InetAddress TcpServer::listenAddress(std::size_t index) const {
  GYRE_CHECK(index < listeners_.size(), "there is no such listener");
  return listeners_[index].address;
}

std::vector<int> TcpServer::listenerDescriptors() const {
  loop_->assertInLoopThread();
  std::vector<int> descriptors;
  for (const Listener& listener : listeners_) {
    for (const SocketHandle socket : listener.sockets) descriptors.push_back(socket.value());
  }
  return descriptors;
}

void TcpServer::keepUnixPaths() noexcept {
  loop_->assertInLoopThread();
  for (Listener& listener : listeners_) {
    if (listener.path != nullptr) listener.path->keep();
  }
}

void TcpServer::takeUnixPaths() noexcept {
  loop_->assertInLoopThread();
  for (Listener& listener : listeners_) {
    if (listener.path != nullptr) listener.path->take();
  }
}

RefPtr<ConnectionProfile> TcpServer::makeProfile() const {
  auto profile = makeRef<ConnectionProfile>(profile_->group);
  profile->name = profile_->name;
  profile->options = profile_->options;
  return profile;
}

std::size_t TcpServer::connectionCount() const noexcept { return profile_->group->size(); }

// --- Numbers

namespace {

LoopStats statsOf(const LoopCounters& counters) {
  LoopStats stats;
  stats.iterations = counters.iterations.get();
  stats.enters = counters.enters.get();
  stats.directSends = counters.directSends.get();
  for (const Counter& kind : counters.completions) stats.completions += kind.get();
  stats.functors = counters.functors.get();
  stats.wakeups = counters.wakeups.get();
  stats.timers = counters.timers.get();
  stats.timeouts = counters.timeouts.get();
  stats.bytesReceived = counters.bytesReceived.get();
  stats.bytesSent = counters.bytesSent.get();
  stats.accepts = counters.accepts.get();
  stats.acceptsNoDescriptors = counters.acceptsNoDescriptors.get();
  stats.acceptsNoMemory = counters.acceptsNoMemory.get();
  stats.acceptsAborted = counters.acceptsAborted.get();
  stats.receivesStarved = counters.receivesStarved.get();
  stats.operationsNoMemory = counters.operationsNoMemory.get();
  stats.overflows = counters.overflows.get();
  stats.callbackFailures = counters.callbackFailures.get();
  stats.slowCallbacks = counters.slowCallbacks.get();
  stats.longestCallback = std::chrono::nanoseconds(counters.longestCallback.get());
  stats.lagMax = std::chrono::nanoseconds(counters.lagMax.get());
  stats.busy = std::chrono::nanoseconds(counters.busy.get());
  return stats;
}

}  // namespace

ServerStats TcpServer::stats() const {
  ServerStats stats;
  admission_->fill(stats);
  stats.listenersFailed = listenersFailed_.load(std::memory_order_relaxed);
  const std::vector<EventLoop*>& loops = pool_.getAllLoops();
  for (std::size_t i = 0; i < loops.size(); ++i) {
    stats.loops.push_back(statsOf(loops[i]->counters()));
    stats.loops.back().connections = profile_->group->sizeOn(i);
  }
  return stats;
}

}  // namespace gyre
