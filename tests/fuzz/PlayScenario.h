// PlayScenario: one scenario on the engine it is about.
#pragma once

#include <vector>

#include "fuzz/FuzzCoverage.h"
#include "fuzz/Scenario.h"
#include "fuzz/Verdict.h"

namespace gyre {

// Where something is wrong the process is to be left: threads and sockets may live on.
void playScenario(const Scenario& scenario, Verdict& verdict, FuzzCoverage& coverage);
void sayCoverage(const std::vector<FuzzCoverage>& parts);

}  // namespace gyre
