// SimulationClient: a random client of a simulated server, and what it must have seen.
//
// Thread  The one that steps the network.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gyre/sim/SimClient.h"
#include "sim/SimRandom.h"
#include "sim/SimulationServer.h"

namespace gyre {

class SimulationClient {
 public:
  SimulationClient(SimNetwork& network, SimRandom& random, const SimulationServer& server,
                   std::uint32_t number);

  SimClient& client() { return client_; }
  std::uint16_t port() const { return client_.localAddress().port(); }
  // It waits for nothing more, or for what will never come.
  bool isDone(const SimulationLedger* ledger) const {
    return client_.isFinished() || (ledger != nullptr && ledger->isPausedForEver);
  }
  // The server's end must have noticed that this one has gone.
  bool hasLeft(const SimulationLedger& ledger) const {
    if (!ledger.isPausedForEver) return client_.isFinished();
    return client_.wasReset() || (client_.isFinished() && resets_);
  }
  std::string describe(const SimulationLedger& ledger) const;
  // Judges the connection against what the server says of it; null when it never came up there.
  // `network` tells whether connections were lost that nobody closed.
  void expectHonest(const SimulationLedger* ledger, const SimStatistics& network) const;

 private:
  void makeStream();
  void script(const InetAddress& address);
  void sendStream();
  void endScript();
  std::string plainReceived() const;
  void expectFrames(std::string_view bytes) const;

  SimRandom& random_;
  const SimulationSettings& settings_;
  const std::uint32_t number_;
  std::string stream_;  // all it means to send, unfiltered
  SimClient client_;
  bool closesEarly_ = false;  // before the server has ended its stream
  bool resets_ = false;       // by script, at the end
};

}  // namespace gyre
