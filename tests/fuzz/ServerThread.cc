#include "fuzz/ServerThread.h"

#include <fcntl.h>
#include <unistd.h>

#include <exception>
#include <utility>

#include "fuzz/CallFaults.h"

namespace gyre {

ServerThread::ServerThread(FuzzContext& context) : context_(context) {
  std::promise<InetAddress> started;
  std::future<InetAddress> address = started.get_future();
  thread_ = std::thread([this, &started] { run(started); });
  try {
    address_ = address.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

ServerThread::~ServerThread() {
  if (!hasQuit_) quit();
  thread_.join();
}

void ServerThread::quit() {
  const std::lock_guard quitting(quitMutex_);
  loop_->quit();
}

void ServerThread::run(std::promise<InetAddress>& started) {
  const Scenario& scenario = context_.scenario;
  std::unique_ptr<EventLoop> loop;
  try {
    loop = std::make_unique<EventLoop>(scenario.proactor);
    loop->setTimeoutTick(std::chrono::milliseconds(10));
    loop_ = loop.get();
    server_ = std::make_unique<FuzzServer>(loop_, std::vector<EventLoop*>(), context_, 0);
    server_->start();
  } catch (...) {
    server_.reset();
    started.set_exception(std::current_exception());
    return;
  }
  started.set_value(server_->server().listenAddress());
  beginCallFaults(scenario);
  loop->loop();
  // It outlives the call that ended it.
  { const std::lock_guard quitting(quitMutex_); }
  server_.reset();
  endCallFaults();
}

void ServerThread::end(FuzzEnding ending) {
  context_.isEnding = true;
  if (ending == FuzzEnding::Destroy) {
    hasEnded_ = hasQuit_ = true;
    return quit();
  }
  loop_->runInLoop([this, ending] { server_->end(ending, [this] { hasEnded_ = true; }); });
}

void ServerThread::beginRestart() {
  isRestarting_ = true;
  loop_->runInLoop([this] {
    const FaultlessScope scope;
    auto listeners = std::make_shared<std::vector<UniqueFd>>();
    for (const int fd : server_->server().listenerDescriptors()) {
      listeners->emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    }
    server_->end(FuzzEnding::Stop, [this, listeners] {
      const FaultlessScope ending;
      loop_->queueInLoop([this, listeners] { replace(std::move(*listeners)); });
    });
  });
}

void ServerThread::replace(std::vector<UniqueFd> listeners) {
  const FaultlessScope scope;
  server_.reset();
  server_ = std::make_unique<FuzzServer>(loop_, std::vector<EventLoop*>(), context_, ++generation_);
  server_->start(std::move(listeners));
  context_.isEnding = false;
  isRestarting_ = false;
}

void ServerThread::call(const std::function<void()>& function) {
  std::promise<void> done;
  loop_->runInLoop([&] {
    const FaultlessScope scope;
    function();
    done.set_value();
  });
  done.get_future().wait();
}

std::uint64_t ServerThread::iterations() {
  std::uint64_t sum = 0;
  for (const LoopStats& loop : server_->server().stats().loops) sum += loop.iterations;
  return sum;
}

std::uint64_t ServerThread::bytesMoved() {
  std::uint64_t sum = 0;
  for (const LoopStats& loop : server_->server().stats().loops) {
    sum += loop.bytesReceived + loop.bytesSent;
  }
  return sum;
}

std::size_t ServerThread::connectionCount() { return server_->server().connectionCount(); }

std::string ServerThread::describe() {
  if (hasQuit_) return "server: gone";
  const ServerStats stats = server_->server().stats();
  return "server: connections " + std::to_string(stats.connections) + ", accepted " +
         std::to_string(stats.accepted) + ", refused " +
         std::to_string(stats.refusedByConnections + stats.refusedByMemory +
                        stats.refusedByAddress + stats.refusedByFilter) +
         ", bytes held " + std::to_string(stats.bytesHeld);
}

}  // namespace gyre
