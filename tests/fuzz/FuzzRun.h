// FuzzRun: one scenario on sockets: plays it, watches it, judges it.
//
// Thread  One; the server has its own.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "fuzz/Crowd.h"
#include "fuzz/FuzzCoverage.h"
#include "fuzz/FuzzServer.h"
#include "fuzz/Outside.h"
#include "fuzz/ServerThread.h"

namespace gyre {

class FuzzRun {
 public:
  FuzzRun(const Scenario& scenario, Verdict& verdict, FuzzCoverage& coverage);
  // Stops at the first thing that is wrong: then the server may not come to its end, and the
  // process is to be left.
  void play();

 private:
  using Clock = Crowd::Clock;

  void playPeers();
  void watch();
  void observeParked();
  void expectIdle();
  void probe();
  bool probeOnce();
  void endServer();
  void restart();
  bool mayWait() const;
  bool waitFor(const std::function<bool()>& condition, const char* what);
  void judge();

  const Scenario& scenario_;
  Verdict& verdict_;
  FuzzCoverage& coverage_;
  PeerDirectory directory_;
  LedgerBook book_;
  FuzzContext context_{scenario_, directory_, book_, verdict_};
  std::unique_ptr<Outside> outside_;
  std::unique_ptr<ServerThread> server_;
  std::unique_ptr<Crowd> crowd_;
  const PeerPlan probe_ = probePlan();
  Clock::time_point begin_;
  int restartsLeft_;
  bool hasEnded_ = false;   // the ending was asked for
  bool everEnded_ = false;  // somebody may have been turned away for an ending
};

}  // namespace gyre
