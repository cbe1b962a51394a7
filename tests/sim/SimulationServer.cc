#include "sim/SimulationServer.h"

#include <chrono>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "gyre/codec/FrameReader.h"

namespace gyre {

SimulationServer::SimulationServer(SimNetwork& network, SimRandom& random,
                                   const SimulationSettings& settings)
    : network_(network), random_(random), settings_(settings) {
  std::vector<EventLoop*> workers;
  for (int i = 0; i <= settings.extraLoops; ++i) {
    const std::string name = i == 0 ? "base" : "worker" + std::to_string(i);
    loops_.push_back(std::make_unique<EventLoop>(network.makeProactor(name)));
    EventLoop* loop = loops_.back().get();
    network.addLoop(loop->proactor(), [loop] { loop->runOnce(kForever); });
    if (i > 0) workers.push_back(loop);
  }
  EventLoop* base = loops_.front().get();
  server_ = std::make_unique<TcpServer>(base, InetAddress("127.0.0.1:0"), "simulated");
  server_->setThreadNum(0);
  if (!workers.empty()) server_->setLoops(workers);
  server_->setConnectionOptions(settings.options);
  server_->setLimits(settings.limits);
  setCallbacks();
  server_->start();
}

namespace {

FrameResult decodeFrame(std::string_view input, std::size_t) {
  if (input.size() < kFrameHeader) return {};
  std::size_t length = 0;
  for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(input[i]);
  if (length > kFrameMax) return {FrameStatus::TooLong};
  if (input.size() < kFrameHeader + length) return {};
  return {FrameStatus::Complete, input.substr(0, kFrameHeader + length), kFrameHeader + length};
}

}  // namespace

void SimulationServer::setCallbacks() {
  reader_ = framedBy(
      decodeFrame,
      [this](const auto& connection, std::string_view frame) {
        answerFrame(ledgerOf(connection), frame);
      },
      [](const auto&, FrameStatus) { ADD_FAILURE() << "bytes were lost or invented"; });
  server_->setConnectionCallback([this](const auto& connection) { handleConnection(connection); });
  server_->setMessageCallback(
      [this](const auto& connection, Buffer& input) { handleMessage(connection, input); });
  server_->setWriteCompleteCallback([this](const auto& connection) {
    ledgerOf(connection).expectAlive("write complete");
    ++writeCompletes_;
  });
  server_->setHighWaterMarkCallback(
      [this](const auto& connection, std::size_t) {
        ledgerOf(connection).expectAlive("high water");
        ++highWaters_;
      },
      settings_.options.highWaterMark);
  if (settings_.decidesHalfClose) {
    server_->setHalfCloseCallback([this](const auto& connection) { handleHalfClose(connection); });
  }
  server_->setDrainCallback([this](const auto& connection) { handleDrain(connection); });
  server_->setCloseCallback([this](const auto& connection) {
    SimulationLedger& ledger = ledgerOf(connection);
    ledger.closed();
    network_.note(ledger.describe());
    // A handle that is kept sees a closed connection whose calls do nothing.
    connection->send("late");
    connection->startRead();
    connection->shutdown();
    connection->forceClose();
  });
}

void SimulationServer::handleConnection(const TcpConnectionPtr& connection) {
  if (!connection->connected()) return ledgerOf(connection).down();
  SimulationLedger& ledger = ledgers_[connection->id()];
  ledger.connection = connection;
  ledger.conduct = drawConduct();
  ledger.clientPort = connection->peerAddress().port();
  ledger.up();
  network_.note(ledger.describe());
  if (settings_.isFiltered) connection->setFilter(std::make_unique<SimulationFilter>());
  switch (ledger.conduct.kind) {
    case SimulationConduct::Kind::ReadLater: return pause(ledger);
    case SimulationConduct::Kind::Hoard: return hoard(ledger);
    case SimulationConduct::Kind::ShutdownAtOnce: say(ledger, "sorry"); return shutdown(ledger);
    case SimulationConduct::Kind::ForceCloseAtOnce: return connection->forceClose();
    default: break;
  }
}

SimulationConduct SimulationServer::drawConduct() {
  using Kind = SimulationConduct::Kind;
  SimulationConduct conduct;
  if (random_.chance(settings_.isStuck ? 0.1 : 0.3)) return conduct;
  conduct.kind = static_cast<Kind>(random_.below(SimulationConduct::kKinds));
  if (random_.chance(0.2)) conduct.kind = Kind::Pause;
  if (random_.chance(0.1)) conduct.kind = Kind::Hoard;
  if (conduct.kind == Kind::PauseForEver && !settings_.pausesForEver) conduct.kind = Kind::Plain;
  if (settings_.isStuck) conduct.kind = Kind::SendMuchAndForceClose;
  conduct.bytes = random_.below(settings_.isStuck ? 200 : 8000);
  conduct.size = random_.between(kSendBytesMax, 2 * kSendBytesMax);
  conduct.pause = Duration(static_cast<Duration::rep>(random_.below(1ULL << random_.below(32))));
  return conduct;
}

void SimulationServer::handleMessage(const TcpConnectionPtr& connection, Buffer& input) {
  SimulationLedger& ledger = ledgerOf(connection);
  ledger.expectAlive("a message");
  if (ledger.hoards) return;
  switch (settings_.protocol) {
    case SimulationProtocol::Echo: echo(ledger, input); break;
    case SimulationProtocol::Frames: answerFrames(ledger, input); break;
    case SimulationProtocol::Broadcast: broadcast(ledger, input); break;
  }
  if (!ledger.conductDone && ledger.received.size() >= ledger.conduct.bytes) conduct(ledger);
}

std::string SimulationServer::take(SimulationLedger& ledger, Buffer& input, std::size_t size) {
  std::string bytes = input.retrieveAsString(size);
  ledger.message(bytes);
  return bytes;
}

// Sent out of the buffer that it came in, and now and then before or behind more than a send takes.
void SimulationServer::answerAsItCame(SimulationLedger& ledger, Buffer& input) {
  ledger.message(input.view());
  const std::uint64_t choice = random_.below(10);
  const auto sendLarge = [&] {
    if (!ledger.isSendingOver) ledger.sent.append(*large_);
    ledger.connection->send(large_);
  };
  if (choice == 0) sendLarge();
  if (!ledger.isSendingOver) ledger.sent.append(input.view());
  ledger.connection->send(input);
  if (choice == 1) sendLarge();
}

void SimulationServer::echo(SimulationLedger& ledger, Buffer& input) {
  if (settings_.mixesSends) return answerAsItCame(ledger, input);
  std::size_t size = input.readableBytes();
  // Never more than the input limit is left: nobody would say startRead().
  const bool mayLeave = settings_.retrievesParts && size <= kFrameMax;
  if (mayLeave && random_.chance(0.2)) size = random_.between(1, size);
  send(ledger, take(ledger, input, size));
}

void SimulationServer::answerFrame(SimulationLedger& ledger, std::string_view frame) {
  ledger.message(frame);
  send(ledger, std::string(frame));
  if (!settings_.setsDeadlines) return;
  TcpConnection& connection = *ledger.connection;
  if (random_.chance(0.5)) return connection.clearDeadline();
  connection.setDeadline(std::chrono::milliseconds(random_.below(3000)));
}

void SimulationServer::answerFrames(SimulationLedger& ledger, Buffer& input) {
  if (settings_.usesReader) return reader_(ledger.connection, input);
  while (input.readableBytes() >= kFrameHeader) {
    const auto length = static_cast<std::size_t>(input.peekInt32());
    ASSERT_LE(length, kFrameMax) << "bytes were lost or invented";
    if (input.readableBytes() < kFrameHeader + length) return;
    std::string frame = take(ledger, input, kFrameHeader + length);
    send(ledger, std::move(frame));
  }
}

void SimulationServer::broadcast(SimulationLedger& ledger, Buffer& input) {
  while (input.readableBytes() >= kFrameHeader) {
    const auto length = static_cast<std::size_t>(input.peekInt32());
    ASSERT_LE(length, kFrameMax) << "bytes were lost or invented";
    if (input.readableBytes() < kFrameHeader + length) return;
    const auto frame =
        std::make_shared<const std::string>(take(ledger, input, kFrameHeader + length));
    for (auto& [id, other] : ledgers_) other.connection->send(frame);
  }
}

void SimulationServer::send(SimulationLedger& ledger, std::string bytes) {
  if (!ledger.isSendingOver) ledger.sent.append(bytes);
  switch (random_.below(4)) {
    case 0: return ledger.connection->send(std::string_view(bytes));
    case 1: return ledger.connection->send(std::move(bytes));
    case 2: return ledger.connection->send(std::make_shared<const std::string>(std::move(bytes)));
    default: break;
  }
  Buffer buffer;
  buffer.append(bytes);
  ledger.connection->send(buffer);
}

void SimulationServer::conduct(SimulationLedger& ledger) {
  using Kind = SimulationConduct::Kind;
  ledger.conductDone = true;
  switch (ledger.conduct.kind) {
    case Kind::Plain:
    case Kind::ReadLater:
    case Kind::Hoard:
    case Kind::ShutdownAtOnce:
    case Kind::ForceCloseAtOnce: break;
    case Kind::Shutdown: ledger.isSendingOver = true; return ledger.connection->shutdown();
    case Kind::ForceClose:
      return random_.chance(0.5) ? ledger.connection->abort() : ledger.connection->forceClose();
    case Kind::Throw: throw std::runtime_error("a callback of the simulation");
    case Kind::Pause:
      ledger.conduct.bytes += random_.below(4000);
      ledger.conductDone = false;  // again and again
      return pause(ledger);
    case Kind::PauseForEver:
      ledger.isPaused = ledger.isPausedForEver = true;
      return ledger.connection->stopRead();
    case Kind::ShutdownWrite:
      ledger.isSendingOver = true;
      ledger.connection->shutdownWrite();
      ledger.conduct.pause += std::chrono::seconds(1);  // so long that the peer ends meanwhile
      return random_.chance(0.5) ? pause(ledger) : void();
    case Kind::SendMuch: return sayMuch(ledger);
    case Kind::SendMuchAndShutdown: sayMuch(ledger); return shutdown(ledger);
    case Kind::SendMuchAndForceClose:
      sayMuch(ledger);
      return later(ledger, [](const TcpConnectionPtr& connection) { connection->forceClose(); });
    case Kind::CloseOther: return closeOther();
    case Kind::StopServer: return stopServer();
    case Kind::FloodFunctors: return flood(ledger);
  }
}

// Null while the destructor runs, which stops it already.
void SimulationServer::stopServer() {
  if (!server_) return;
  if (random_.chance(0.5)) return server_->stop();
  server_->drain(std::chrono::milliseconds(random_.below(5000)));
}

void SimulationServer::shutdown(SimulationLedger& ledger) {
  ledger.isSendingOver = true;
  ledger.connection->shutdown();
}

void SimulationServer::later(SimulationLedger& ledger, ConnectionCallback call) {
  const auto goOn = [weak = std::weak_ptr(ledger.connection), moved = std::move(call)] {
    const TcpConnectionPtr connection = weak.lock();
    if (connection && !connection->disconnected()) moved(connection);
  };
  ledger.connection->loop()->runAfter(ledger.conduct.pause, goOn);
}

void SimulationServer::pause(SimulationLedger& ledger) {
  ledger.isPaused = true;
  ledger.connection->stopRead();
  later(ledger, [this](const TcpConnectionPtr& connection) {
    ledgerOf(connection).isPaused = false;
    connection->startRead();
  });
}

void SimulationServer::hoard(SimulationLedger& ledger) {
  ledger.hoards = true;
  later(ledger, [this](const TcpConnectionPtr& connection) {
    ledgerOf(connection).hoards = false;
    // What was left is offered again only to whoever had stopped: over the memory budget nothing
    // else would come, and so no message either.
    connection->stopRead();
    connection->startRead();
  });
}

// The loop must not go to sleep on the rest of them.
void SimulationServer::flood(SimulationLedger& ledger) {
  static constexpr int kFunctors = 8000;
  const auto run = std::make_shared<int>(0);
  for (int i = 0; i < kFunctors; ++i) ledger.connection->queueInLoop([run] { ++*run; });
  ledger.connection->loop()->runAfter(std::chrono::minutes(1),
                                      [run] { EXPECT_EQ(*run, kFunctors); });
}

// From another loop a shutdown comes later than the call: what is sent until then is sent.
void SimulationServer::closeOther() {
  auto other = ledgers_.begin();
  std::advance(other, random_.below(ledgers_.size()));
  const TcpConnectionPtr connection = other->second.connection;
  switch (random_.below(3)) {
    case 0: return connection->forceClose();
    case 1: return connection->isInLoopThread() ? shutdown(other->second) : void();
    default: break;
  }
  connection->queueInLoop([this, connection] { shutdown(ledgerOf(connection)); });
}

// Some say goodbye and end, some end, some leave it to the peer or to the deadline.
void SimulationServer::handleDrain(const TcpConnectionPtr& connection) {
  SimulationLedger& ledger = ledgerOf(connection);
  ledger.expectAlive("drain");
  EXPECT_EQ(ledger.drains++, 0) << "a connection is told once";
  ++drains_;
  const std::uint64_t choice = random_.below(4);
  if (choice == 0) say(ledger, "goodbye");
  if (choice <= 1) shutdown(ledger);
  if (choice == 2) connection->forceClose();
}

void SimulationServer::handleHalfClose(const TcpConnectionPtr& connection) {
  SimulationLedger& ledger = ledgerOf(connection);
  ledger.expectAlive("half-close");
  ++halfCloses_;
  say(ledger, "goodbye");
  shutdown(ledger);
}

}  // namespace gyre
