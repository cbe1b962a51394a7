// SimulationRun: one seed: a server, its clients, a history with faults, and what must hold of it.
//
// Thread  The one that steps the network.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/SimulationClient.h"
#include "sim/SimulationServer.h"

namespace gyre {

// What happened, over many seeds.
struct SimulationCoverage {
  std::array<std::uint64_t, kSimFaults> faults{};
  std::array<std::uint64_t, 5> states{};
  std::array<std::uint64_t, 13> reasons{};
  std::uint64_t seeds = 0;
  std::uint64_t connections = 0;
  std::uint64_t completions = 0;
  std::uint64_t iterations = 0;
  std::uint64_t steps = 0;
  std::uint64_t writeCompletes = 0;
  std::uint64_t highWaters = 0;
  std::uint64_t halfCloses = 0;
  std::uint64_t drains = 0;
  std::uint64_t refused = 0;  // clients, by any limit
  std::uint64_t pausedForMemory = 0;
  std::uint64_t completionsPerSecondMax = 0;
  std::uint64_t inputsHeldBack = 0;  // connections that met their limit, and kept to it
  std::uint64_t outputsHeldBack = 0;
};

class SimulationRun {
 public:
  SimulationRun(std::uint64_t seed, SimulationCoverage& coverage);
  SimulationRun(const SimulationRun&) = delete;
  SimulationRun& operator=(const SimulationRun&) = delete;

  void traceToStderr();
  void play();
  std::uint64_t hash() const { return network_.traceHash(); }

 private:
  static SimOptions drawOptions(std::uint64_t seed, SimRandom& random);
  static SimulationSettings drawSettings(SimRandom& random, const SimOptions& network);
  static void drawLimits(SimRandom& random, SimulationSettings& settings);
  const SimulationLedger* ledgerOf(const SimulationClient& client);
  bool isQuiet();
  std::string describe();
  void observe();
  void observePace();
  void step(const std::function<bool()>& until, Duration timeout);
  void stopServer();
  void destroyServer();
  void expectRest();
  void expectOrderly(const SimulationLedger& ledger);
  void expectBounded(const SimulationLedger& ledger);
  void noteLimits();
  void judge();
  void addUp();
  std::uint64_t iterations() const;

  SimRandom random_;
  SimulationCoverage& coverage_;
  SimNetwork network_;
  SimulationServer server_;
  std::vector<std::unique_ptr<SimulationClient>> clients_;
  const TimePoint begin_ = network_.now();
  std::uint64_t refused_ = 0;
  std::uint64_t pausedForMemory_ = 0;
  TimePoint second_{};                 // when the current one began
  std::uint64_t completionsThen_ = 0;  // by then
};

}  // namespace gyre
