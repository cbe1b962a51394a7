// SimulationServer: a TcpServer, unmodified, on one to three simulated loops.
//
// It echoes, answers length-prefixed frames, or broadcasts, and now and then does to a connection
// what users do: closes it, pauses it, throws.
//
// Thread  The one that steps the network.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gyre/server/TcpServer.h"
#include "gyre/sim/SimNetwork.h"
#include "sim/SimRandom.h"
#include "sim/SimulationLedger.h"

namespace gyre {

enum class SimulationProtocol : std::uint8_t { Echo, Frames, Broadcast };

// Flips bits, and so can be told from no filter at all.
class SimulationFilter final : public ConnectionFilter {
 public:
  static constexpr char kMask = 0x5A;
  static std::string flip(std::string_view bytes) {
    std::string flipped(bytes);
    for (char& byte : flipped) byte = static_cast<char>(byte ^ kMask);
    return flipped;
  }

  bool decode(std::string_view received, Buffer& plain, Buffer&) override {
    plain.append(flip(received));
    return true;
  }
  bool encode(std::string_view plain, Buffer& wire) override {
    wire.append(flip(plain));
    return true;
  }
  void finish(Buffer&) override {}
};

struct SimulationSettings {
  SimulationProtocol protocol = SimulationProtocol::Echo;
  int extraLoops = 0;
  bool isFiltered = false;
  bool decidesHalfClose = false;
  bool retrievesParts = false;  // leaves bytes in the buffer now and then
  bool usesReader = false;      // framedBy() instead of a loop of its own
  bool setsDeadlines = false;
  bool isStuck = false;        // much is sent to clients that hardly read
  bool mixesSends = false;     // more than a send takes, beside what stays in its receive buffer
  bool pausesForEver = false;  // some connections
  ConnectionOptions options;
  ServerLimits limits;

  // Somebody looks at the clock though nothing happens.
  bool isTimed() const {
    const ConnectionTimeouts& times = options.timeouts;
    const auto none = std::chrono::milliseconds::zero();
    return times.idle > none || times.readIdle > none || setsDeadlines || times.firstByte > none ||
           times.writeStall > none || limits.memoryBudget != 0;
  }
};

// A frame: its length and sender as 32-bit numbers, then as many bytes.
inline constexpr std::size_t kFrameHeader = 8;
inline constexpr std::size_t kFrameMax = 4096;

class SimulationServer {
 public:
  SimulationServer(SimNetwork& network, SimRandom& random, const SimulationSettings& settings);
  SimulationServer(const SimulationServer&) = delete;
  SimulationServer& operator=(const SimulationServer&) = delete;

  InetAddress address() const { return server_->listenAddress(); }
  TcpServer& server() { return *server_; }
  void stop() {
    server_->stop([this] { stopped_ = true; });
  }
  void drain(Duration limit) {
    server_->drain(limit, [this] { stopped_ = true; });
  }
  bool isStopped() const { return stopped_; }
  void destroy() { server_.reset(); }

  const SimulationSettings& settings() const { return settings_; }
  std::map<std::uint64_t, SimulationLedger>& ledgers() { return ledgers_; }
  const std::vector<std::unique_ptr<EventLoop>>& loops() const { return loops_; }
  std::uint64_t writeCompletes() const { return writeCompletes_; }
  std::uint64_t highWaters() const { return highWaters_; }
  std::uint64_t halfCloses() const { return halfCloses_; }
  std::uint64_t drains() const { return drains_; }

 private:
  SimulationLedger& ledgerOf(const TcpConnectionPtr& connection) {
    return ledgers_.at(connection->id());
  }
  void setCallbacks();
  void handleConnection(const TcpConnectionPtr& connection);
  void handleMessage(const TcpConnectionPtr& connection, Buffer& input);
  void handleHalfClose(const TcpConnectionPtr& connection);
  void handleDrain(const TcpConnectionPtr& connection);
  SimulationConduct drawConduct();
  void conduct(SimulationLedger& ledger);
  void stopServer();
  void shutdown(SimulationLedger& ledger);
  void pause(SimulationLedger& ledger);
  void closeOther();
  void hoard(SimulationLedger& ledger);
  static void flood(SimulationLedger& ledger);
  void later(SimulationLedger& ledger, ConnectionCallback call);
  std::string take(SimulationLedger& ledger, Buffer& input, std::size_t size);
  void echo(SimulationLedger& ledger, Buffer& input);
  void answerAsItCame(SimulationLedger& ledger, Buffer& input);
  void answerFrame(SimulationLedger& ledger, std::string_view frame);
  void answerFrames(SimulationLedger& ledger, Buffer& input);
  void broadcast(SimulationLedger& ledger, Buffer& input);
  void send(SimulationLedger& ledger, std::string bytes);
  // What is no frame; a broadcast has nothing else.
  void say(SimulationLedger& ledger, std::string bytes) {
    if (settings_.protocol != SimulationProtocol::Broadcast) send(ledger, std::move(bytes));
  }
  void sayMuch(SimulationLedger& ledger) { say(ledger, std::string(ledger.conduct.size, 'm')); }

  SimNetwork& network_;
  SimRandom& random_;
  const SimulationSettings settings_;
  MessageCallback reader_;
  const std::shared_ptr<const std::string> large_ =
      std::make_shared<const std::string>(std::string(kSendBytesMax + 4096, 'l'));
  // By connection id. The handles in them outlive the loops.
  std::map<std::uint64_t, SimulationLedger> ledgers_;
  std::vector<std::unique_ptr<EventLoop>> loops_;  // the base loop first
  std::unique_ptr<TcpServer> server_;
  bool stopped_ = false;
  std::uint64_t writeCompletes_ = 0;
  std::uint64_t highWaters_ = 0;
  std::uint64_t halfCloses_ = 0;
  std::uint64_t drains_ = 0;  // connections that were told
};

}  // namespace gyre
