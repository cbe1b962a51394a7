// The engines that the conformance suite runs on.
#include <cctype>
#include <cerrno>

#include "proactor/epoll/EpollProactor.h"
#include "proactor/uring/UringFeatures.h"
#include "proactor/uring/UringProactor.h"
#include "support/ConformanceFixture.h"
#include "support/ConformanceKernelWorld.h"

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

}  // namespace

std::vector<ConformanceEngine> conformanceEngines() {
  const auto usualOptions = [] { return ProactorOptions(); };
  return {uringEngine("Uring", usualOptions), uringEngine("UringTiny", tinyOptions),
          uringEngine("UringPlain", plainOptions), epollEngine("Epoll", usualOptions),
          epollEngine("EpollTiny", tinyEpollOptions)};
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
