// Judge: what must hold when a run is over: every byte, every ending, nobody turned away for
// nothing.
//
// Thread  One, when nothing runs any more.
#pragma once

#include <string>
#include <vector>

#include "fuzz/FuzzCoverage.h"
#include "fuzz/FuzzServer.h"

namespace gyre {

// A connection as its peer saw it.
struct PeerHistory {
  enum class End : std::uint8_t { None, Fin, Reset };

  const PeerFacts* facts = nullptr;
  std::string received;
  std::string description;
  End end = End::None;
  bool leftEarly = false;  // before it had seen the end of the stream
};

class Judge {
 public:
  Judge(const Scenario& scenario, LedgerBook& book, Verdict& verdict, FuzzCoverage& coverage)
      : scenario_(scenario), book_(book), verdict_(verdict), coverage_(coverage) {}

  // A server has ended, or the network loses connections: it is nobody's fault.
  bool mayBeTurnedAway = false;
  bool mayBeLost = false;

  void addPeer(PeerHistory history) { peers_.push_back(std::move(history)); }
  void judge();

 private:
  void judgePeer(const PeerHistory& peer, Ledger* ledger);
  void judgeTurnedAway(const PeerHistory& peer);
  void addUp();

  const Scenario& scenario_;
  LedgerBook& book_;
  Verdict& verdict_;
  FuzzCoverage& coverage_;
  std::vector<PeerHistory> peers_;
};

}  // namespace gyre
