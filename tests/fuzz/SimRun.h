// SimRun: one scenario on the simulated network, whose engine CHECKs the Proactor contract.
//
// Thread  The one that steps the network; the server's loops too.
#pragma once

#include <memory>
#include <vector>

#include "fuzz/FuzzServer.h"
#include "fuzz/Judge.h"
#include "gyre/sim/SimClient.h"
#include "gyre/sim/SimNetwork.h"

namespace gyre {

class SimRun {
 public:
  SimRun(const Scenario& scenario, Verdict& verdict, FuzzCoverage& coverage);
  void play();

 private:
  struct Player {
    PeerFacts* facts;
    std::unique_ptr<SimClient> client;
    bool leftEarly = false;
  };

  static SimOptions drawOptions(const Scenario& scenario);
  void startServer();
  void addPlayer(const PeerPlan& plan, Duration wait);
  void append(Player& player, const PeerStep& step);
  void leave(Player& player);
  void playPlayers();
  bool areDone() const;
  void endServer();
  std::string describe(const Player& player) const;
  void judge();

  const Scenario& scenario_;
  Verdict& verdict_;
  FuzzCoverage& coverage_;
  SimRandom random_;
  SimNetwork network_;
  PeerDirectory directory_;
  LedgerBook book_;
  FuzzContext context_{scenario_, directory_, book_, verdict_};
  std::vector<std::unique_ptr<EventLoop>> loops_;  // the base loop first
  std::unique_ptr<FuzzServer> server_;
  std::vector<std::unique_ptr<Player>> players_;
};

}  // namespace gyre
