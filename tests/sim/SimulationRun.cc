#include "sim/SimulationRun.h"

#include <algorithm>
#include <cstdio>

namespace gyre {

// The close machine is private, and still every state of it must have been reached. An explicit
// instantiation may name a private member.
int simulationStateOf(const TcpConnection& connection);
template <auto Member>
struct SimulationState {
  friend int simulationStateOf(const TcpConnection& connection) {
    return static_cast<int>((connection.*Member).load());
  }
};
template struct SimulationState<&TcpConnection::state_>;

namespace {

constexpr std::uint64_t kCompletionsPerSecondMax = 20'000;

}  // namespace

SimulationRun::SimulationRun(std::uint64_t seed, SimulationCoverage& coverage)
    : random_(seed ^ 0x5eed),
      coverage_(coverage),
      network_(drawOptions(seed, random_)),
      server_(network_, random_, drawSettings(random_, network_.options())) {
  const std::uint64_t count = random_.between(1, 9);
  for (std::uint32_t i = 0; i < count; ++i) {
    clients_.push_back(std::make_unique<SimulationClient>(network_, random_, server_, i));
  }
}

// Some runs are without faults; some have one kind far more often than the others.
SimOptions SimulationRun::drawOptions(std::uint64_t seed, SimRandom& random) {
  SimOptions options;
  options.seed = seed;
  if (random.chance(0.9)) {
    options.faults = SimFaults::everything(random.chance(0.5) ? 0.5 : 1.5);
    for (int i = 0; i < 3; ++i) {
      double& probability = options.faults[static_cast<SimFault>(random.below(kSimFaults))];
      probability = std::min(0.5, probability * 10);
    }
    // A late cancel lets more in than the limits say, and what spins hides behind late
    // completions: its time goes on.
    if (random.chance(0.5)) {
      options.faults[SimFault::CancelDelayed] = options.faults[SimFault::CompletionDelayed] = 0;
    }
  }
  options.sendBuffer = random.between(1, 32) * 2048;
  options.receiveBuffer = random.between(1, 32) * 2048;
  options.receiveBuffers = random.between(1, 16);
  options.receiveBufferSize = 64U << random.below(7);
  options.completionEntries = 2U << random.below(8);
  options.stepsPerInstantMax = 20'000;
  if (random.chance(0.1)) options.descriptorsMax = random.between(2, 4);
  return options;
}

SimulationSettings SimulationRun::drawSettings(SimRandom& random, const SimOptions& network) {
  SimulationSettings settings;
  settings.protocol = static_cast<SimulationProtocol>(random.below(3));
  settings.extraLoops = static_cast<int>(random.below(3));
  settings.isFiltered = random.chance(0.2);
  settings.decidesHalfClose = random.chance(0.3);
  settings.retrievesParts = random.chance(0.2);
  // Those would keep the descriptors that others wait for.
  settings.pausesForEver = network.descriptorsMax == 0;
  settings.isStuck = random.chance(0.4);
  settings.mixesSends = random.chance(0.2);
  settings.options.highWaterMark = random.between(1, 64) * 1024;
  settings.options.outputLimit = 1024ULL << random.below(7);
  settings.options.outputPolicy = static_cast<OutputPolicy>(random.below(3));
  if (settings.isStuck) {
    settings.protocol = SimulationProtocol::Echo;
    settings.options.outputPolicy = OutputPolicy::Report;
  }
  settings.usesReader = random.chance(0.5);
  settings.options.framesPerIteration = static_cast<std::uint16_t>(random.between(16, 256));
  settings.options.inputLimit = random.between(5, 12) * 1024;  // more than a frame
  settings.options.timeouts.close = std::chrono::milliseconds(random.between(1, 3000));
  settings.options.lingerBytes = random.below(100'000);
  drawLimits(random, settings);
  return settings;
}

// Each is rare, so that most of a history is not about limits.
void SimulationRun::drawLimits(SimRandom& random, SimulationSettings& settings) {
  const auto drawn = [&random](std::uint64_t from, std::uint64_t to) {
    return std::chrono::milliseconds(random.between(from, to));
  };
  ConnectionTimeouts& timeouts = settings.options.timeouts;
  if (random.chance(0.15)) timeouts.idle = drawn(1, 1000);
  if (random.chance(0.1)) timeouts.readIdle = drawn(1, 1000);
  settings.setsDeadlines = random.chance(0.1);
  if (random.chance(0.2)) timeouts.firstByte = drawn(1, 100);
  if (random.chance(0.2)) timeouts.writeStall = drawn(1, 500);
  ServerLimits& limits = settings.limits;
  if (random.chance(0.15)) limits.connectionsMax = random.between(1, 6);
  if (random.chance(0.5)) limits.atConnectionsMax = OverloadPolicy::Refuse;
  if (random.chance(0.05)) limits.connectionsPerAddressMax = random.between(1, 6);
  // Far more than all of them may need for a frame each.
  if (random.chance(0.15)) limits.memoryBudget = 128ULL * 1024 << random.below(4);
  // Those would keep the places, and the bytes, that others wait for.
  if (limits.connectionsMax + limits.memoryBudget != 0) settings.pausesForEver = false;
}

void SimulationRun::traceToStderr() {
  network_.setTraceSink([](std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  });
}

void SimulationRun::play() {
  const bool endsEarly = random_.chance(0.2);
  if (endsEarly) {
    const std::uint64_t nanoseconds = random_.below(1ULL << random_.between(20, 31));
    step([] { return false; }, Duration(static_cast<Duration::rep>(nanoseconds)));
  } else {
    step([this] { return isQuiet(); }, std::chrono::hours(1));
    expectRest();
  }
  noteLimits();
  // While the destructor runs the base loop, this thread is in it and in no other.
  const bool isAlone = server_.settings().extraLoops == 0;
  if (isAlone && random_.chance(0.3)) {
    destroyServer();
  } else {
    stopServer();
  }
  network_.runFor(std::chrono::minutes(3));  // the clients see it
  judge();
  addUp();
}

const SimulationLedger* SimulationRun::ledgerOf(const SimulationClient& client) {
  for (const auto& [id, ledger] : server_.ledgers()) {
    if (ledger.clientPort != 0 && ledger.clientPort == client.port()) return &ledger;
  }
  return nullptr;
}

// Everybody has said what he had to say, and every connection of it has ended.
bool SimulationRun::isQuiet() {
  return std::all_of(clients_.begin(), clients_.end(), [this](const auto& client) {
    const SimulationLedger* ledger = ledgerOf(*client);
    if (!client->isDone(ledger)) return false;
    return ledger == nullptr || ledger->isOver() || !client->hasLeft(*ledger);
  });
}

void SimulationRun::step(const std::function<bool()>& until, Duration timeout) {
  network_.runUntil(
      [this, &until] {
        observe();
        return until();
      },
      timeout);
}

// The time may jump by more than a second: what came at its end counts as well.
void SimulationRun::observePace() {
  const std::uint64_t completions = network_.statistics().completions;
  const std::uint64_t inThis = completions - completionsThen_;
  coverage_.completionsPerSecondMax = std::max(coverage_.completionsPerSecondMax, inThis);
  EXPECT_LE(inThis, kCompletionsPerSecondMax) << "the engines spin";
  if (network_.now() - second_ < std::chrono::seconds(1)) return;
  second_ = network_.now();
  completionsThen_ = completions;
}

void SimulationRun::observe() {
  observePace();
  for (auto& [id, ledger] : server_.ledgers()) {
    const auto state = static_cast<std::size_t>(simulationStateOf(*ledger.connection));
    ++coverage_.states[state];
    if (!ledger.isOver()) {
      ledger.outputMax = std::max(ledger.outputMax, ledger.connection->outputBytes());
      ledger.inputMax = std::max(ledger.inputMax, ledger.connection->inputBytes());
    }
  }
}

std::string SimulationRun::describe() {
  std::string text;
  for (const auto& client : clients_) {
    const SimulationLedger* ledger = ledgerOf(*client);
    text += "\n" + (ledger == nullptr ? client->client().name() : client->describe(*ledger));
    text += client->client().isFinished() ? ", finished" : ", waits";
    if (ledger != nullptr)
      text += ", state " + std::to_string(simulationStateOf(*ledger->connection));
  }
  return text;
}

// Nobody has anything to do: the loops wait.
void SimulationRun::expectRest() {
  EXPECT_TRUE(isQuiet()) << "a connection does not end: " << describe();
  network_.runFor(std::chrono::minutes(1));  // who left in the backlog is still to be accepted
  const std::uint64_t before = iterations();
  network_.runFor(std::chrono::seconds(10));
  // Who has timeouts is looked at, once a tick at most: for that the loop goes round a few times.
  const std::uint64_t looks = server_.settings().isTimed() ? 1000 : 0;
  EXPECT_LE(iterations() - before, (30u + looks) * server_.loops().size())
      << "an idle loop goes round";
}

void SimulationRun::stopServer() {
  if (random_.chance(0.5)) {
    server_.stop();
  } else {
    server_.drain(std::chrono::milliseconds(random_.below(20'000)));
  }
  step([this] { return server_.isStopped(); }, std::chrono::hours(1));
  EXPECT_TRUE(server_.isStopped());
  EXPECT_EQ(server_.server().connectionCount(), 0u);
}

// It closes everything itself, running its loop.
void SimulationRun::destroyServer() {
  server_.destroy();
  for (const auto& [id, ledger] : server_.ledgers()) EXPECT_TRUE(ledger.isOver());
}

void SimulationRun::expectOrderly(const SimulationLedger& ledger) {
  EXPECT_EQ(ledger.ups, 1);
  EXPECT_EQ(ledger.downs, 1);
  EXPECT_EQ(ledger.closes, 1);
}

// Beyond its limit a queue grows by what was taken from the kernel before reading paused: the
// receive buffers, once more those that came back before the cancel was submitted, when the kernel
// looks at it at once. An echo of a full input has both.
void SimulationRun::expectBounded(const SimulationLedger& ledger) {
  const SimOptions& network = network_.options();
  const ConnectionOptions& options = server_.settings().options;
  if (network_.statistics()[SimFault::CancelDelayed] > 0) return;
  const std::size_t taken = (network.receiveBuffers + 1) * network.receiveBufferSize;
  EXPECT_LE(ledger.inputMax, options.inputLimit + 2 * taken);
  if (ledger.inputMax > options.inputLimit) ++coverage_.inputsHeldBack;
  if (options.outputPolicy != OutputPolicy::PauseReading || ledger.conduct.isMuch()) return;
  if (server_.settings().mixesSends) return;
  if (server_.settings().protocol == SimulationProtocol::Broadcast) return;
  EXPECT_LE(ledger.outputMax, options.outputLimit + options.inputLimit + 2 * taken);
  if (ledger.outputMax > options.outputLimit) ++coverage_.outputsHeldBack;
}

// All clients that came were counted, whatever became of them.
void SimulationRun::noteLimits() {
  const ServerStats stats = server_.server().stats();
  refused_ = stats.refusedByAddress + stats.refusedByConnections + stats.refusedByMemory;
  pausedForMemory_ = stats.pausedForMemory;
  EXPECT_LE(server_.ledgers().size() + refused_, stats.accepted);
  const std::size_t most = server_.settings().limits.connectionsMax;
  EXPECT_TRUE(most == 0 || stats.connections <= most);
}

void SimulationRun::judge() {
  const SimStatistics& statistics = network_.statistics();
  EXPECT_EQ(statistics.operations, statistics.ended) << "each operation ends once";
  EXPECT_EQ(statistics.socketsOpen(), 0u);

  for (const auto& [id, ledger] : server_.ledgers()) {
    expectOrderly(ledger);
    expectBounded(ledger);
  }
  for (const auto& client : clients_) client->expectHonest(ledgerOf(*client), statistics);
  std::uint64_t work = statistics[SimFault::RunReturnsEarly];
  for (const auto& loop : server_.loops()) {
    work += loop->counters().functors.get() + loop->counters().timers.get();
  }
  // Each tick at most.
  const Duration lasted = network_.now() - begin_;
  if (server_.settings().isTimed()) {
    work += static_cast<std::uint64_t>(lasted / std::chrono::milliseconds(100));
  }
  EXPECT_LE(iterations(), 3 * (work + statistics.completions) + 200) << "a loop spins";
}

std::uint64_t SimulationRun::iterations() const {
  std::uint64_t sum = 0;
  for (const auto& loop : server_.loops()) sum += loop->counters().iterations.get();
  return sum;
}

void SimulationRun::addUp() {
  const SimStatistics& statistics = network_.statistics();
  ++coverage_.seeds;
  for (std::size_t i = 0; i < kSimFaults; ++i) coverage_.faults[i] += statistics.faults[i];
  for (const auto& [id, ledger] : server_.ledgers()) {
    ++coverage_.reasons[static_cast<std::size_t>(ledger.connection->closeReason())];
  }
  coverage_.connections += statistics.connections;
  coverage_.completions += statistics.completions;
  coverage_.iterations += iterations();
  coverage_.steps += statistics.steps;
  coverage_.writeCompletes += server_.writeCompletes();
  coverage_.highWaters += server_.highWaters();
  coverage_.halfCloses += server_.halfCloses();
  coverage_.drains += server_.drains();
  coverage_.refused += refused_;
  coverage_.pausedForMemory += pausedForMemory_;
}

}  // namespace gyre
