#include "fuzz/DrawScenario.h"

#include "fuzz/DrawPeers.h"

namespace gyre {
namespace {

std::chrono::milliseconds drawTime(SimRandom& random, double chance, std::uint64_t lowest,
                                   std::uint64_t highest) {
  if (!random.chance(chance)) return std::chrono::milliseconds::zero();
  return std::chrono::milliseconds(random.between(lowest, highest));
}

ProactorOptions drawProactor(SimRandom& random, FuzzEngine engine) {
  ProactorOptions options;
  options.engine = engine == FuzzEngine::Epoll ? Engine::Epoll : Engine::Uring;
  options.completionEntries = 1024;  // many rings at once fit into RLIMIT_MEMLOCK
  options.submissionEntries = 256;
  const bool isSmall =
      engine == FuzzEngine::Tiny || (engine != FuzzEngine::Epoll && random.chance(0.2));
  if (isSmall) {
    options.submissionEntries = 8;
    options.completionEntries = 64;
    options.receiveBuffers = random.chance(0.5) ? 2 : 4;
    options.receiveBuffersMax = options.receiveBuffers * (random.chance(0.5) ? 1 : 4);
    if (random.chance(0.3)) options.receiveBufferSize = 4096;
  }
  if (random.chance(0.2)) options.bulkBufferSize = random.chance(0.5) ? 0 : 64 * 1024;
  if (random.chance(0.2)) options.hotBufferSize = 8 * 1024;
  options.submissionPolling.enabled = engine == FuzzEngine::Polling;
  options.submissionPolling.idle = std::chrono::milliseconds(5);
  return options;
}

ConnectionOptions drawOptions(SimRandom& random) {
  ConnectionOptions options;
  if (random.chance(0.4)) options.outputLimit = random.between(1, 400'000);
  if (random.chance(0.3)) options.highWaterMark = random.between(1, 200'000);
  options.outputPolicy = static_cast<OutputPolicy>(random.below(3));
  if (random.chance(0.3)) options.inputLimit = random.between(1, 100'000);
  options.timeouts.idle = drawTime(random, 0.1, 20, 1000);
  options.timeouts.firstByte = drawTime(random, 0.1, 20, 1000);
  options.timeouts.writeStall = drawTime(random, 0.1, 20, 1000);
  options.timeouts.close = std::chrono::milliseconds(random.between(200, 3000));
  if (random.chance(0.1)) options.lingerBytes = random.between(1, 100'000);
  return options;
}

ServerLimits drawLimits(SimRandom& random, FuzzTheme theme) {
  ServerLimits limits;
  if (random.chance(theme == FuzzTheme::Storm ? 0.9 : 0.15)) {
    limits.connectionsMax = random.between(1, random.chance(0.7) ? 8 : 40);
    limits.atConnectionsMax = random.chance(0.75) ? OverloadPolicy::Wait : OverloadPolicy::Refuse;
  }
  if (random.chance(0.1)) limits.connectionsPerAddressMax = random.between(1, 8);
  if (random.chance(0.1)) limits.memoryBudget = random.between(64'000, 4'000'000);
  return limits;
}

void drawFaults(SimRandom& random, Scenario& scenario) {
  if (scenario.engine == FuzzEngine::Faulty) {
    scenario.ringPassing = static_cast<std::uint32_t>(random.between(5, 60));
    if (random.chance(0.4)) scenario.ringFatal = static_cast<std::uint32_t>(random.between(1, 20));
  }
  if (scenario.engine == FuzzEngine::Sim) return;
  if (random.chance(0.15))
    scenario.calls.sends = static_cast<std::uint32_t>(random.between(5, 200));
  const bool isReactor = scenario.engine == FuzzEngine::Epoll;
  if (isReactor && random.chance(0.1))
    scenario.calls.accepts = static_cast<std::uint32_t>(random.between(10, 300));
}

void drawEnding(SimRandom& random, Scenario& scenario) {
  scenario.ending = static_cast<FuzzEnding>(random.below(3));
  if (random.chance(0.25)) scenario.endsAfter = static_cast<std::uint32_t>(random.below(150));
  scenario.endsWhileParked = random.chance(0.2);
  if (scenario.acceptMode == AcceptMode::BaseLoop && random.chance(0.2)) {
    scenario.restarts = static_cast<int>(random.between(1, 3));
  }
}

// From numbers of its own, so that a seed stays what it was before there were these.
void drawMore(std::uint64_t seed, Scenario& scenario) {
  if (scenario.engine == FuzzEngine::Sim) return;
  SimRandom random(seed ^ 0x6d6f7265);
  const std::uint64_t listener = random.below(8);
  if (listener < 2) scenario.listener = FuzzListener::DualStack;
  // FuzzServer::peerOf() counts on the filter being asked about each client.
  const bool refusesUnasked = scenario.limits.memoryBudget != 0 ||
                              scenario.limits.atConnectionsMax == OverloadPolicy::Refuse;
  if (listener == 2 && !refusesUnasked) scenario.listener = FuzzListener::Unix;
  // RingFaults itself needs memory.
  if (scenario.engine != FuzzEngine::Faulty && random.chance(0.15)) {
    scenario.calls.allocations = static_cast<std::uint32_t>(random.between(5, 200));
  }
  if (scenario.acceptMode == AcceptMode::EveryLoop && random.chance(0.2)) {
    scenario.restarts = static_cast<int>(random.between(1, 3));
  }
}

FuzzTheme drawTheme(SimRandom& random) {
  const std::uint64_t choice = random.below(10);
  if (choice < 4) return FuzzTheme::Mixed;
  if (choice < 6) return FuzzTheme::Storm;
  return choice < 8 ? FuzzTheme::Stalled : FuzzTheme::Endings;
}

}  // namespace

Scenario drawScenario(std::uint64_t seed, FuzzEngine engine) {
  SimRandom random(seed * 0x9e3779b97f4a7c15 + static_cast<std::uint64_t>(engine));
  Scenario scenario;
  scenario.seed = seed;
  scenario.engine = engine;
  scenario.theme = drawTheme(random);
  scenario.proactor = drawProactor(random, engine);
  scenario.threads = static_cast<int>(random.chance(0.4) ? 0 : random.between(1, 4));
  if (engine != FuzzEngine::Sim && random.chance(0.2)) scenario.acceptMode = AcceptMode::EveryLoop;
  if (random.chance(0.3)) scenario.placement = Placement::FewestConnections;
  scenario.options = drawOptions(random);
  scenario.limits = drawLimits(random, scenario.theme);
  scenario.isFiltered = random.chance(0.15);
  scenario.decidesHalfClose = random.chance(0.5);
  scenario.watchesWrites = random.chance(0.6);
  drawFaults(random, scenario);
  drawEnding(random, scenario);
  drawMore(seed, scenario);
  drawPeers(random, scenario);
  return scenario;
}

}  // namespace gyre
