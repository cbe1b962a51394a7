// TestOptions: the engine and the sizes that this run of the tests is about.
//
// GYRE_ENGINE chooses the engine, as everywhere; without it the tests are about io_uring.
// GYRE_TEST_RINGS=tiny makes everything small, so that every queue and pool runs full.
#pragma once

#include <string>

#include "gyre/proactor/ProactorOptions.h"

namespace gyre {

// What every loop of a test is made with.
ProactorOptions testProactorOptions();
// The same engine with the sizes that users get, whatever GYRE_TEST_RINGS says, and with tiny ones.
ProactorOptions usualProactorOptions();
ProactorOptions tinyProactorOptions();

// Why this machine cannot run the engine of this run; empty when it can.
std::string engineRefusal();

}  // namespace gyre
