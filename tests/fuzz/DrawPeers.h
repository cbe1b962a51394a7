// DrawPeers: the scripts of a scenario's peers, and what the server does to each.
#pragma once

#include "fuzz/Scenario.h"

namespace gyre {

// Fills scenario.peers and peersAtOnce by its theme; the rest was drawn before.
void drawPeers(SimRandom& random, Scenario& scenario);

}  // namespace gyre
