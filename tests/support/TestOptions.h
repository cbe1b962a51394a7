// TestOptions: the engine and the sizes that this run of the tests is about.
//
// GYRE_ENGINE chooses the engine, as everywhere; without it the tests are about io_uring.
// GYRE_TEST_RINGS=tiny makes everything small, so that every queue and pool runs full.
// GYRE_TEST_FAULTS=<seed> makes the rings of io_uring faulty, see RingFaults.h; only faults after
// which the engine goes on, so that every test must come to the same end.
#pragma once

#include <string>

#include "gyre/proactor/ProactorOptions.h"

namespace gyre {

// What every loop of a test is made with.
ProactorOptions testProactorOptions();
// The same engine with the sizes that users get, whatever GYRE_TEST_RINGS says, and with tiny ones.
ProactorOptions usualProactorOptions();
ProactorOptions tinyProactorOptions();

// True when this run is one with faulty rings. What counts system calls, or bounds the time of a
// message, says nothing then.
bool hasRingFaults();

// Why this machine cannot run the engine of this run; empty when it can.
std::string engineRefusal();

}  // namespace gyre
