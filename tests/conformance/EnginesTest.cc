// The engines that the conformance suite runs on.
#include <cctype>
#include <cerrno>
#include <chrono>

#include "proactor/epoll/EpollProactor.h"
#include "proactor/uring/UringFeatures.h"
#include "proactor/uring/UringProactor.h"
#include "support/ConformanceFixture.h"
#include "support/ConformanceKernelWorld.h"
#include "support/ConformanceSimWorld.h"

namespace gyre {
namespace {

// Everything is scarce: streams must go on all the same.
ProactorOptions tinyOptions() {
  ProactorOptions options;
  options.submissionEntries = 8;
  options.completionEntries = 64;
  options.receiveBuffers = 2;
  options.receiveBuffersMax = 2;
  options.receiveBufferSize = 512;
  options.hotBufferSize = 512;
  return options;
}

// A new kernel takes the paths of Linux 6.1.
ProactorOptions plainOptions() {
  ProactorOptions options;
  for (const FeatureReport& feature : describeFeatures(uringSupport().available, options)) {
    options.disabledFeatures.push_back(feature.name);
  }
  return options;
}

// The kernel's thread sleeps often, so that waking it is part of the test.
ProactorOptions polledOptions() {
  ProactorOptions options;
  options.submissionPolling.enabled = true;
  options.submissionPolling.idle = std::chrono::milliseconds(1);
  return options;
}

ConformanceEngine uringEngine(std::string name, ProactorOptions (*makeOptions)()) {
  const auto makeWorld = [makeOptions]() -> std::unique_ptr<ConformanceWorld> {
    return std::make_unique<ConformanceKernelWorld>(makeUringProactor, makeOptions());
  };
  const auto refusal = []() -> std::string {
    const UringSupport support = uringSupport();
    const bool isRefused =
        support.error == EPERM || support.error == ENOSYS || support.error == EINVAL;
    return isRefused ? "io_uring is not available: " + support.cause : std::string();
  };
  return {std::move(name), makeWorld, refusal};
}

ConformanceEngine epollEngine(std::string name, ProactorOptions (*makeOptions)()) {
  const auto makeWorld = [makeOptions]() -> std::unique_ptr<ConformanceWorld> {
    return std::make_unique<ConformanceKernelWorld>(makeEpollProactor, makeOptions());
  };
  return {std::move(name), makeWorld};
}

ProactorOptions tinyEpollOptions() {
  ProactorOptions options = tinyOptions();
  options.disabledFeatures = {"epoll-pwait2"};
  return options;
}

ConformanceEngine simEngine(std::string name, SimOptions (*makeOptions)()) {
  const auto makeWorld = [makeOptions]() -> std::unique_ptr<ConformanceWorld> {
    return std::make_unique<ConformanceSimWorld>(makeOptions());
  };
  return {std::move(name), makeWorld};
}

SimOptions tinySimOptions() {
  SimOptions options;
  options.completionEntries = 4;
  options.receiveBuffers = 2;
  options.receiveBufferSize = 512;
  return options;
}

// What the contract hides from whoever uses an engine, and no test can tell.
SimOptions hiddenFaults() {
  SimOptions options;
  for (const SimFault fault : {SimFault::CompletionsOverflowed, SimFault::ReceiveStarved,
                               SimFault::StreamEnded, SimFault::SendContinued}) {
    options.faults[fault] = 0.2;
  }
  return options;
}

}  // namespace

std::vector<ConformanceEngine> kernelConformanceEngines() {
  const auto usualOptions = [] { return ProactorOptions(); };
  return {uringEngine("Uring", usualOptions),      uringEngine("UringTiny", tinyOptions),
          uringEngine("UringPlain", plainOptions), uringEngine("UringPolled", polledOptions),
          epollEngine("Epoll", usualOptions),      epollEngine("EpollTiny", tinyEpollOptions)};
}

std::vector<ConformanceEngine> undisturbedConformanceEngines() {
  std::vector<ConformanceEngine> engines = kernelConformanceEngines();
  engines.push_back(simEngine("Sim", [] { return SimOptions(); }));
  engines.push_back(simEngine("SimTiny", tinySimOptions));
  return engines;
}

std::vector<ConformanceEngine> conformanceEngines() {
  std::vector<ConformanceEngine> engines = undisturbedConformanceEngines();
  engines.push_back(simEngine("SimFaults", hiddenFaults));
  return engines;
}

namespace {

class EngineConformanceTest : public ConformanceTest {};

TEST_P(EngineConformanceTest, Name_isTheEngines) {
  std::string name(proactor().name());
  name[0] = static_cast<char>(std::toupper(name[0]));
  EXPECT_THAT(engine().name, testing::StartsWith(name));
}

TEST_P(EngineConformanceTest, Grant_isTheRingsOrNothing) {
  const RingGrant grant = proactor().grant();
  const bool isRing = proactor().name() == "uring";
  EXPECT_EQ(grant.submissionEntries != 0, isRing);
  EXPECT_EQ(grant.completionEntries != 0, isRing);
}

INSTANTIATE_TEST_SUITE_P(Engines, EngineConformanceTest, testing::ValuesIn(conformanceEngines()),
                         conformanceEngineName);

}  // namespace
}  // namespace gyre
