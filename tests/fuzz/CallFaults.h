// CallFaults: system calls and allocations that fail now and then, on the threads of the server.
//
// Sends and accepts fail by CallTrap; data operations of io_uring are no calls: RingFaults has
// them.
//
// Thread  The calling one: each has its own faults, and its own chance.
#pragma once

#include "fuzz/Scenario.h"

namespace gyre {

// On this thread, until endCallFaults().
void beginCallFaults(const Scenario& scenario) noexcept;
void endCallFaults() noexcept;

// The fuzzer's own code in a callback: it finds memory, always.
class FaultlessScope {
 public:
  FaultlessScope() noexcept;
  FaultlessScope(const FaultlessScope&) = delete;
  FaultlessScope& operator=(const FaultlessScope&) = delete;
  ~FaultlessScope();
};

// A call of the library's inside such a scope.
class FaultyScope {
 public:
  FaultyScope() noexcept;
  FaultyScope(const FaultyScope&) = delete;
  FaultyScope& operator=(const FaultyScope&) = delete;
  ~FaultyScope();
};

}  // namespace gyre
