// FuzzOptions: the command line of gyre_fuzz.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fuzz/Scenario.h"

namespace gyre {

struct FuzzOptions {
  std::vector<FuzzEngine> engines;  // in turn, by the seed
  std::uint64_t firstSeed = 1;
  std::uint64_t runs = 0;  // 0: as many as the time allows
  std::chrono::seconds seconds{60};
  int jobs = 1;
  bool isKeepGoing = false;             // after a failure, with the next seed
  bool isVerbose = false;               // says each scenario before it is played
  std::optional<int> threads;           // instead of the scenario's
  std::optional<std::size_t> peersMax;  // plays the first of them only
};

// Prints what is wrong, or the help, and ends the process where there is nothing to run.
FuzzOptions parseFuzzOptions(int argc, char** argv);

}  // namespace gyre
