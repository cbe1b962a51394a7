#include "fuzz/SimRun.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "fuzz/FuzzFilter.h"

namespace gyre {

using std::chrono::milliseconds;

SimRun::SimRun(const Scenario& scenario, Verdict& verdict, FuzzCoverage& coverage)
    : scenario_(scenario),
      verdict_(verdict),
      coverage_(coverage),
      random_(scenario.seed ^ 0x51),
      network_(drawOptions(scenario)) {
  if (std::getenv("GYRE_SIM_TRACE") != nullptr) {
    network_.setTraceSink([](std::string_view line) {
      std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    });
  }
  directory_.setFallback([this](const InetAddress& address) -> PeerFacts* {
    for (const auto& player : players_) {
      if (player->client->localAddress() == address) return player->facts;
    }
    return nullptr;
  });
}

SimOptions SimRun::drawOptions(const Scenario& scenario) {
  SimRandom random(scenario.seed ^ 0x0b);
  SimOptions options;
  options.seed = scenario.seed;
  if (random.chance(0.6)) options.faults = SimFaults::everything(random.chance(0.5) ? 0.3 : 1.0);
  options.faults[SimFault::PeerVanished] = 0;  // nobody would tell a peer that only listens
  options.sendBuffer = random.between(1, 32) * 2048;
  options.receiveBuffer = random.between(1, 32) * 2048;
  options.receiveBuffers = random.between(1, 16);
  options.receiveBufferSize = 512U << random.below(6);
  options.completionEntries = 8U << random.below(6);
  return options;
}

void SimRun::play() {
  startServer();
  for (const PeerPlan& plan : scenario_.peers) {
    addPlayer(plan, milliseconds(random_.below(scenario_.peers.size() * 4)));
  }
  playPlayers();
  if (verdict_.hasFailed()) return;
  endServer();
  server_.reset();
  loops_.clear();
  if (network_.statistics().socketsOpen() != 0) verdict_.fail("sockets were left open");
  judge();
}

void SimRun::startServer() {
  std::vector<EventLoop*> workers;
  for (int i = 0; i <= scenario_.threads; ++i) {
    loops_.push_back(
        std::make_unique<EventLoop>(network_.makeProactor("loop" + std::to_string(i))));
    EventLoop* loop = loops_.back().get();
    loop->setTimeoutTick(milliseconds(10));
    network_.addLoop(loop->proactor(), [loop] { loop->runOnce(kForever); });
    if (i > 0) workers.push_back(loop);
  }
  server_ = std::make_unique<FuzzServer>(loops_.front().get(), workers, context_, 0);
  server_->start();
}

void SimRun::addPlayer(const PeerPlan& plan, Duration wait) {
  PeerFacts& facts = directory_.add(plan);
  auto player = std::make_unique<Player>();
  player->facts = &facts;
  player->client = std::make_unique<SimClient>(network_, "peer" + std::to_string(facts.key));
  facts.mayEndByReset = [client = player->client.get()] { return client->hasResetServer(); };
  player->client->wait(wait).connect(server_->server().listenAddress());
  for (const PeerStep& step : plan.steps) append(*player, step);
  if (plan.steps.empty() || plan.steps.back().kind == PeerStep::Kind::AwaitEnd) leave(*player);
  players_.push_back(std::move(player));
}

void SimRun::append(Player& player, const PeerStep& step) {
  using Kind = PeerStep::Kind;
  SimClient& client = *player.client;
  switch (step.kind) {
    case Kind::Send:
    case Kind::Trickle: {
      std::string bytes(step.amount, '\0');
      fillPeerBytes(player.facts->key, player.facts->sent, bytes.data(), bytes.size());
      player.facts->sent += bytes.size();
      if (scenario_.isFiltered) flip(bytes);
      const bool isSlow = step.kind == Kind::Trickle;
      client.send(bytes, isSlow ? SimPace{1, milliseconds(1)} : SimPace{});
      return;
    }
    case Kind::Wait: client.wait(milliseconds(step.amount)); return;
    // Others may never be answered.
    case Kind::Await:
      step.amount < 5 ? client.awaitBytes(step.amount) : client.wait(milliseconds(50));
      return;
    // Slowly, so that a peer does not wait for a server that waits for it.
    case Kind::StopReading: client.setReadPace({512, std::chrono::seconds(1)}); return;
    case Kind::Park: client.wait(std::chrono::seconds(3)); [[fallthrough]];
    case Kind::StartReading: client.then([](SimClient& self) { self.setReadPace({}); }); return;
    case Kind::HalfClose:
      client.then([&player](SimClient& self) {
        player.facts->sent = self.bytesSent();
        player.facts->hasFinished = true;
      });
      client.halfClose();
      return;
    case Kind::AwaitEnd: client.awaitEnd(); return;
    case Kind::Close: leave(player); return;
    case Kind::Reset:
      client.then([&player](SimClient&) { player.leftEarly = player.facts->hasFinished = true; });
      client.reset();
      return;
  }
}

void SimRun::leave(Player& player) {
  player.client->then([&player](SimClient& self) {
    player.leftEarly = !self.hasEnded() && !self.wasReset();
    player.facts->sent = self.bytesSent();
    player.facts->hasFinished = true;
  });
  player.client->close();
}

bool SimRun::areDone() const {
  return std::all_of(players_.begin(), players_.end(),
                     [](const auto& player) { return player->client->isFinished(); });
}

void SimRun::playPlayers() {
  if (scenario_.endsAfter) {
    network_.runFor(milliseconds(*scenario_.endsAfter));
    return;
  }
  if (network_.runUntil([this] { return areDone(); }, std::chrono::hours(1))) return;
  for (const auto& player : players_) {
    if (player->client->isFinished()) continue;
    std::string text = "a peer waits for ever: " + describe(*player);
    for (const Ledger* ledger : book_.all()) {
      if (ledger->peer() == player->facts) text += "; " + ledger->describe();
    }
    return verdict_.fail(text);
  }
}

void SimRun::endServer() {
  // While the destructor runs the base loop, this thread is in it and in no other.
  const bool destroys = scenario_.ending == FuzzEnding::Destroy;
  bool isEnded = destroys && scenario_.threads == 0;
  const FuzzEnding ending = destroys ? FuzzEnding::Stop : scenario_.ending;
  if (!isEnded) server_->end(ending, [&isEnded] { isEnded = true; });
  if (!network_.runUntil([&isEnded] { return isEnded; }, std::chrono::hours(1))) {
    verdict_.fail("the server does not come to its end");
  }
}

std::string SimRun::describe(const Player& player) const {
  const SimClient& client = *player.client;
  return client.name() + ": sent " + std::to_string(client.bytesSent()) + ", received " +
         std::to_string(client.bytesReceived()) + (client.hasEnded() ? ", end" : "") +
         (client.wasReset() ? ", reset" : "") + (player.leftEarly ? ", left early" : "");
}

void SimRun::judge() {
  Judge judge(scenario_, book_, verdict_, coverage_);
  judge.mayBeTurnedAway = true;  // the network refuses and loses
  judge.mayBeLost = true;
  for (const auto& player : players_) {
    const SimClient& client = *player->client;
    player->facts->sent = client.bytesSent();
    using End = PeerHistory::End;
    const bool hasFin = client.hasEnded() && !client.wasReset();
    PeerHistory history{player->facts, client.received(), describe(*player),
                        hasFin              ? End::Fin
                        : client.wasReset() ? End::Reset
                                            : End::None,
                        player->leftEarly};
    if (scenario_.isFiltered) flip(history.received);
    judge.addPeer(std::move(history));
  }
  judge.judge();
}

}  // namespace gyre
