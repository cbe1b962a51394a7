// SimFabric: the parts of one simulated network, together.
#pragma once

#include "sim/SimScheduler.h"
#include "sim/SimTcp.h"
#include "sim/SimWorld.h"

namespace gyre {

class SimFabric {
 public:
  explicit SimFabric(const SimOptions& options) : world(options), tcp(world), scheduler(world) {}

  SimWorld world;
  SimTcp tcp;
  SimScheduler scheduler;
  std::size_t peers = 0;  // scripted clients alive
};

}  // namespace gyre
