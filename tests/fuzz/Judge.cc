#include "fuzz/Judge.h"

#include <cerrno>
#include <map>

namespace gyre {

void Judge::judge() {
  std::map<const PeerFacts*, Ledger*> ledgers;
  for (Ledger* ledger : book_.all()) {
    ledger->judgeEnd();
    if (ledger->peer() == nullptr) continue;
    Ledger*& place = ledgers[ledger->peer()];
    if (place != nullptr && ledger->peer()->plan->addressGroup == 0) {
      verdict_.fail("two connections of one peer: " + ledger->describe());
    }
    place = ledger;
  }
  for (const PeerHistory& peer : peers_) {
    const auto found = ledgers.find(peer.facts);
    judgePeer(peer, found == ledgers.end() ? nullptr : found->second);
  }
  addUp();
}

void Judge::judgePeer(const PeerHistory& peer, Ledger* ledger) {
  using End = PeerHistory::End;
  coverage_.cleanEnds += peer.end == End::Fin ? 1 : 0;
  coverage_.resets += peer.end == End::Reset ? 1 : 0;
  if (ledger == nullptr) return judgeTurnedAway(peer);
  const CloseReason reason = ledger->reason();
  // What was sent after the peer's end was known is lost, and says so by a reset.
  const bool hasLost = reason == CloseReason::PeerClosed && ledger->error() == EPIPE;
  const bool isGraceful =
      (reason == CloseReason::PeerClosed && !hasLost) || reason == CloseReason::Shutdown;
  const bool saysReset = scenario_.listener != FuzzListener::Unix;
  ledger->judgeSent(peer.received, peer.end == End::Fin && (saysReset || isGraceful));
  if (isGraceful && !peer.leftEarly && peer.end != End::Fin && !mayBeLost) {
    verdict_.fail("a graceful close was none: " + peer.description + "; " + ledger->describe());
  }
}

void Judge::judgeTurnedAway(const PeerHistory& peer) {
  ++coverage_.turnedAway;
  if (!peer.received.empty()) verdict_.fail("bytes from nowhere: " + peer.description);
  const bool hasReason = mayBeTurnedAway || mayBeLost || scenario_.mayRefuse() ||
                         scenario_.hasFatalFaults() || peer.leftEarly ||
                         peer.facts->plan->conduct.isRefused;
  if (!hasReason) verdict_.fail("turned away for no reason: " + peer.description);
}

void Judge::addUp() {
  ++coverage_.runs;
  for (const Ledger* ledger : book_.all()) {
    ++coverage_.connections;
    coverage_.bytesReceived += ledger->received();
    coverage_.bytesSent += ledger->sentBytes();
    ++coverage_.reasons[static_cast<std::size_t>(ledger->reason())];
  }
}

}  // namespace gyre
