#include "fuzz/PlayScenario.h"

#include <cstdio>
#include <exception>
#include <memory>

#include "fuzz/FuzzRun.h"
#include "fuzz/SimRun.h"
#include "gyre/proactor/EngineReport.h"
#include "proactor/uring/RingFaults.h"

namespace gyre {

namespace {

template <typename Run>
void play(const Scenario& scenario, Verdict& verdict, FuzzCoverage& coverage) {
  try {
    auto run = std::make_unique<Run>(scenario, verdict, coverage);
    run->play();
    // Its threads may be stuck.
    if (verdict.hasFailed()) static_cast<void>(run.release());
  } catch (const std::exception& error) {
    verdict.fail(std::string("the server does not start: ") + error.what());
  }
}

}  // namespace

void playScenario(const Scenario& scenario, Verdict& verdict, FuzzCoverage& coverage) {
  if (scenario.engine == FuzzEngine::Sim) return play<SimRun>(scenario, verdict, coverage);
  chooseEngine();  // what looks at the kernel is no part of it
  if (scenario.engine == FuzzEngine::Faulty) {
    RingFaultOptions faults;
    faults.seed = scenario.seed;
    faults.passingErrors = scenario.ringPassing;
    faults.fatalErrors = scenario.ringFatal;
    setRingFaults(faults);
  }
  play<FuzzRun>(scenario, verdict, coverage);
  resetRingFaults();
}

void sayCoverage(const std::vector<FuzzCoverage>& parts) {
  FuzzCoverage sum;
  for (const FuzzCoverage& part : parts) {
    sum.runs += part.runs;
    sum.connections += part.connections;
    sum.bytesReceived += part.bytesReceived;
    sum.bytesSent += part.bytesSent;
    sum.cleanEnds += part.cleanEnds;
    sum.resets += part.resets;
    sum.turnedAway += part.turnedAway;
    sum.probes += part.probes;
    sum.restarts += part.restarts;
    sum.noteTime(part.slowest, part.slowestSeed);
    for (std::size_t i = 0; i < sum.reasons.size(); ++i) sum.reasons[i] += part.reasons[i];
  }
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("%llu scenarios: %llu connections, %llu KiB received, %llu KiB sent\n",
              number(sum.runs), number(sum.connections), number(sum.bytesReceived / 1024),
              number(sum.bytesSent / 1024));
  std::printf("peers: %llu clean ends, %llu resets, %llu turned away; %llu probes, %llu restarts\n",
              number(sum.cleanEnds), number(sum.resets), number(sum.turnedAway), number(sum.probes),
              number(sum.restarts));
  std::printf("slowest: %llu ms, seed %llu\n", number(sum.slowest), number(sum.slowestSeed));
  std::printf("close reasons:");
  for (const std::uint64_t count : sum.reasons) std::printf(" %llu", number(count));
  std::printf("\n");
}

}  // namespace gyre
