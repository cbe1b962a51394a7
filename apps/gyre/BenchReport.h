// BenchReport: what a run of gyre bench has found, for people and for programs.
#pragma once

#include <string>

#include "BenchPlan.h"
#include "BenchRun.h"

namespace gyre {

void printBenchReport(const BenchPlan& plan, const BenchOutcome& outcome);

// Why the run was not what was asked; empty when it was.
std::string benchComplaint(const BenchPlan& plan, const BenchOutcome& outcome);

}  // namespace gyre
