// SimCompletions: what a simulated kernel has to tell, in the order that the seed chooses.
//
// The completions of one operation stay in order; those of different operations may be reordered
// and delayed.
//
// Thread  The engine's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gyre/proactor/IoContext.h"
#include "sim/SimOperation.h"
#include "sim/SimWorld.h"

namespace gyre {

struct SimCompletion {
  SimOperation* operation = nullptr;
  IoResult result;
  char* lent = nullptr;  // the receive buffer behind result.data
  TimePoint at{};
};

class SimCompletions {
 public:
  explicit SimCompletions(SimWorld& world) noexcept : world_(world) {}

  std::size_t size() const noexcept { return queue_.size(); }
  void push(SimCompletion completion);
  std::size_t dueCount() const noexcept;
  // When the first is due; kForever when there is none.
  TimePoint nextTime() const noexcept;
  // REQUIRES: dueCount() > 0.
  SimCompletion take();

 private:
  SimWorld& world_;
  std::vector<SimCompletion> queue_;
};

}  // namespace gyre
