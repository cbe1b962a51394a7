// SimPace: how fast a scripted client sends or reads.
#pragma once

#include <cstddef>

#include "gyre/proactor/Proactor.h"

namespace gyre {

// So many bytes at a time, with a pause after each. Zero bytes: as fast as it goes.
struct SimPace {
  std::size_t bytes = 0;
  Duration pause{};
};

}  // namespace gyre
