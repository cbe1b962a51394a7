#include "fuzz/FuzzServer.h"

#include <unistd.h>

#include "fuzz/CallFaults.h"
#include "fuzz/FuzzFilter.h"

namespace gyre {
namespace {

InetAddress addressOf(const Scenario& scenario) {
  switch (scenario.listener) {
    case FuzzListener::IPv4: break;
    case FuzzListener::DualStack: return InetAddress::anyV6(0);
    case FuzzListener::Unix:
      return InetAddress("unix:@gyre_fuzz." + std::to_string(::getpid()) + "." +
                         std::to_string(scenario.seed));
  }
  return InetAddress::loopback(0);
}

}  // namespace

Ledger& LedgerBook::open(int generation, std::unique_ptr<Ledger> ledger) {
  const std::lock_guard lock(mutex_);
  const auto key = std::pair(generation, ledger->connection()->id());
  return *(ledgers_[key] = std::move(ledger));
}

Ledger* LedgerBook::find(int generation, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = ledgers_.find({generation, id});
  return found == ledgers_.end() ? nullptr : found->second.get();
}

std::vector<Ledger*> LedgerBook::all() {
  const std::lock_guard lock(mutex_);
  std::vector<Ledger*> ledgers;
  for (const auto& [key, ledger] : ledgers_) ledgers.push_back(ledger.get());
  return ledgers;
}

FuzzServer::FuzzServer(EventLoop* base, std::vector<EventLoop*> loops, FuzzContext& context,
                       int generation)
    : context_(context), scenario_(context.scenario), generation_(generation) {
  const InetAddress address = generation == 0 ? addressOf(scenario_) : InetAddress();
  server_ = std::make_unique<TcpServer>(base, address, "fuzz");
  server_->setThreadNum(loops.empty() ? scenario_.threads : 0);
  if (!loops.empty()) server_->setLoops(std::move(loops));
  server_->setAcceptMode(scenario_.acceptMode);
  server_->setPlacement(scenario_.placement);
  server_->setConnectionOptions(scenario_.options);
  server_->setLimits(scenario_.limits);
  setCallbacks();
}

void FuzzServer::start(std::vector<UniqueFd> inherited) {
  for (UniqueFd& listener : inherited) server_->addListener(std::move(listener));
  server_->start();
}

void FuzzServer::end(FuzzEnding ending, std::function<void()> done) {
  context_.isEnding = true;
  if (ending == FuzzEnding::Stop) return server_->stop(std::move(done));
  server_->drain(std::chrono::milliseconds(300), std::move(done));
}

void FuzzServer::setCallbacks() {
  server_->setThreadInitCallback([this](EventLoop* loop) {
    loop->setTimeoutTick(std::chrono::milliseconds(10));
    beginCallFaults(scenario_);
  });
  server_->setAcceptFilter([this](const InetAddress& address) {
    const FaultlessScope scope;
    const PeerFacts* peer = noteArrival(address);
    return peer == nullptr || !peer->plan->conduct.isRefused;
  });
  otherProfile_ = server_->makeProfile();
  otherProfile_->options = scenario_.options;
  setCallbacks(*otherProfile_);
  const ConnectionProfile& same = *otherProfile_;
  server_->setConnectionCallback(same.onConnection);
  server_->setMessageCallback(same.onMessage);
  server_->setCloseCallback(same.onClose);
  server_->setDrainCallback(same.onDrain);
  if (same.onHalfClose) server_->setHalfCloseCallback(same.onHalfClose);
  if (!same.onWriteComplete) return;
  server_->setWriteCompleteCallback(same.onWriteComplete);
  server_->setHighWaterMarkCallback(same.onHighWaterMark, scenario_.options.highWaterMark);
}

void FuzzServer::setCallbacks(ConnectionProfile& profile) {
  profile.onConnection = [this](const TcpConnectionPtr& connection) {
    connection->connected() ? handleUp(connection) : handleDown(connection);
  };
  profile.onMessage = [this](const TcpConnectionPtr& connection, Buffer& input) {
    handleMessage(connection, input);
  };
  profile.onClose = [this](const TcpConnectionPtr& connection) { handleClose(connection); };
  profile.onDrain = [this](const TcpConnectionPtr& connection) { handleDrain(connection); };
  if (scenario_.decidesHalfClose) {
    profile.onHalfClose = [this](const TcpConnectionPtr& connection) {
      handleHalfClose(connection);
    };
  }
  if (!scenario_.watchesWrites) return;
  profile.onWriteComplete = [this](const TcpConnectionPtr& connection) {
    const FaultlessScope scope;
    ledgerOf(connection).writeComplete();
  };
  profile.onHighWaterMark = [this](const TcpConnectionPtr& connection, std::size_t) {
    const FaultlessScope scope;
    ledgerOf(connection).highWater();
  };
}

// A connection keeps no unix address, but ids are given in the order in which the filter is asked:
// for each socket, where none is refused before (drawMore sees to that).
PeerFacts* FuzzServer::noteArrival(const InetAddress& address) {
  PeerFacts* peer = context_.peers.find(address);
  const std::lock_guard lock(arrivalsMutex_);
  if (scenario_.listener == FuzzListener::Unix) arrivals_.push_back(peer);
  return peer;
}

PeerFacts* FuzzServer::peerOf(const TcpConnection& connection) {
  if (scenario_.listener != FuzzListener::Unix) {
    return context_.peers.find(connection.peerAddress());
  }
  const std::lock_guard lock(arrivalsMutex_);
  return arrivals_.at(connection.id() - 1);
}

Ledger& FuzzServer::ledgerOf(const TcpConnectionPtr& connection) {
  Ledger* ledger = context_.book.find(generation_, connection->id());
  if (ledger != nullptr) return *ledger;
  context_.verdict.fail("a callback of a connection that never came up");
  return context_.book.open(generation_,
                            std::make_unique<Ledger>(connection, nullptr, 0, context_.verdict));
}

void FuzzServer::handleUp(const TcpConnectionPtr& connection) {
  const FaultlessScope scope;
  PeerFacts* peer = peerOf(*connection);
  Ledger& ledger = context_.book.open(
      generation_, std::make_unique<Ledger>(connection, peer, scenario_.seed, context_.verdict));
  ledger.up();
  const std::size_t most = scenario_.limits.connectionsMax;
  if (++up_ > most && most != 0) {
    context_.verdict.fail("more connections than connectionsMax at once: " +
                          std::to_string(up_.load()) + " of " + std::to_string(most));
  }
  if (scenario_.isFiltered) connection->setFilter(std::make_unique<FuzzFilter>());
  const Conduct& conduct = ledger.conduct();
  if (conduct.greeting > 0) {
    send(ledger, std::make_shared<const std::string>(conduct.greeting, 'g'));
  }
  if (conduct.pausesAtUp) pause(ledger);
}

void FuzzServer::handleDown(const TcpConnectionPtr& connection) {
  const FaultlessScope scope;
  --up_;
  ledgerOf(connection).down();
}

void FuzzServer::handleClose(const TcpConnectionPtr& connection) {
  const FaultlessScope scope;
  ledgerOf(connection).closed();
  // A handle that is kept is a closed connection, whose calls do nothing.
  connection->send("late");
  connection->startRead();
  connection->shutdownWrite();
  connection->forceClose();
}

void FuzzServer::handleMessage(const TcpConnectionPtr& connection, Buffer& input) {
  const FaultlessScope scope;
  Ledger& ledger = ledgerOf(connection);
  ledger.message();
  std::size_t size = input.readableBytes();
  if (ledger.conduct().leavesParts && ledger.random().chance(0.4)) {
    size = ledger.random().below(size + 1);
  }
  answer(ledger, input, size);
  ledger.left(input.readableBytes());
  if (input.readableBytes() > scenario_.options.inputLimit) {
    later(ledger, [](Ledger& self) {
      self.willRead();
      self.connection()->startRead();
    });
  }
  if (ledger.mayDoEvent()) doEvent(ledger);
}

void FuzzServer::handleHalfClose(const TcpConnectionPtr& connection) {
  const FaultlessScope scope;
  Ledger& ledger = ledgerOf(connection);
  ledger.halfClose();
  if (ledger.random().chance(0.3)) {
    send(ledger, std::make_shared<const std::string>(ledger.random().between(1, 3000), 'h'));
  }
  if (ledger.random().chance(0.6)) return request(ledger, &TcpConnection::shutdown);
  later(ledger, [this](Ledger& self) { request(self, &TcpConnection::shutdown); });
}

void FuzzServer::handleDrain(const TcpConnectionPtr& connection) {
  const FaultlessScope scope;
  Ledger& ledger = ledgerOf(connection);
  switch (ledger.random().below(3)) {
    case 0:
      send(ledger, std::make_shared<const std::string>("goodbye"));
      return request(ledger, &TcpConnection::shutdown);
    case 1: return request(ledger, &TcpConnection::forceClose);
    default: return;  // it goes on until its peer is done, or the time is over
  }
}

}  // namespace gyre
