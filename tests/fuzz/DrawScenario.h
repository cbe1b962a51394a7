// DrawScenario: the scenario of a seed.
#pragma once

#include "fuzz/Scenario.h"

namespace gyre {

Scenario drawScenario(std::uint64_t seed, FuzzEngine engine);

}  // namespace gyre
