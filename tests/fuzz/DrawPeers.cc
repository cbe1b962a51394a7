#include "fuzz/DrawPeers.h"

#include <algorithm>

namespace gyre {
namespace {

using Kind = PeerStep::Kind;
using Event = Conduct::Event;

std::size_t drawSize(SimRandom& random) {
  switch (random.below(6)) {
    case 0: return random.between(1, 16);
    case 1: return random.between(1000, 9000);  // what is echoed without a copy
    case 2: return random.between(20'000, 300'000);
    default: return random.between(1, 4000);
  }
}

Event drawEvent(SimRandom& random) {
  auto event = static_cast<Event>(random.below(Conduct::kEvents));
  const bool isRare = event == Event::StopServer || event == Event::DrainServer;
  return isRare && !random.chance(0.1) ? Event::None : event;
}

Conduct drawConduct(SimRandom& random) {
  Conduct conduct;
  conduct.answer = static_cast<Conduct::Answer>(random.chance(0.5) ? 0 : random.below(5));
  conduct.usesOwnInput = random.chance(0.4);
  conduct.sendsFromOutside = random.chance(0.2);
  conduct.leavesParts = random.chance(0.3);
  conduct.pausesAtUp = random.chance(0.15);
  conduct.isRefused = random.chance(0.03);
  if (random.chance(0.2)) conduct.greeting = drawSize(random);
  conduct.large = random.between(10'000, 600'000);
  conduct.largeMax = 2 * conduct.large;
  if (random.chance(0.5)) conduct.event = drawEvent(random);
  conduct.eventAt = random.below(random.chance(0.5) ? 10 : 5000);
  conduct.pauseMilliseconds = static_cast<std::uint32_t>(random.between(1, 40));
  return conduct;
}

// How a peer leaves. It reads to the end, or goes earlier in one way or another.
void endScript(SimRandom& random, std::vector<PeerStep>& steps) {
  switch (random.below(8)) {
    case 0: return steps.push_back({Kind::Reset});
    case 1: return steps.push_back({Kind::Close});
    case 2:
      steps.push_back({Kind::HalfClose});
      steps.push_back({Kind::Wait, random.below(20)});
      return steps.push_back({random.chance(0.5) ? Kind::Reset : Kind::Close});
    default: steps.push_back({Kind::HalfClose}); return steps.push_back({Kind::AwaitEnd});
  }
}

PeerPlan drawMixed(SimRandom& random) {
  PeerPlan plan;
  plan.conduct = drawConduct(random);
  if (random.chance(0.3)) plan.receiveBuffer = 4096;
  if (random.chance(0.1)) plan.steps.push_back({Kind::Wait, random.below(30)});
  if (random.chance(0.2)) plan.steps.push_back({Kind::StopReading});
  const std::uint64_t sends = random.below(random.chance(0.2) ? 12 : 4);
  for (std::uint64_t i = 0; i < sends; ++i) {
    if (random.chance(0.1)) {
      plan.steps.push_back({Kind::Trickle, random.between(1, 60)});
    } else {
      plan.steps.push_back({Kind::Send, drawSize(random)});
    }
    if (random.chance(0.2)) plan.steps.push_back({Kind::Wait, random.below(20)});
    if (random.chance(0.2)) plan.steps.push_back({Kind::Await, random.between(5, 4000)});
    if (random.chance(0.1)) plan.steps.push_back({Kind::StopReading});
    if (random.chance(0.1)) plan.steps.push_back({Kind::StartReading});
  }
  if (random.chance(0.1)) plan.steps.push_back({Kind::Park});
  plan.steps.push_back({Kind::StartReading});
  endScript(random, plan.steps);
  return plan;
}

// Comes, asks at most one thing, goes.
PeerPlan drawVisitor(SimRandom& random) {
  PeerPlan plan;
  plan.conduct.usesOwnInput = random.chance(0.5);
  if (random.chance(0.05)) plan.conduct.event = drawEvent(random);
  if (random.chance(0.1)) {
    plan.steps.push_back({random.chance(0.5) ? Kind::Reset : Kind::Close});
    return plan;
  }
  plan.steps.push_back({Kind::Send, random.between(1, random.chance(0.9) ? 20 : 2000)});
  if (random.chance(0.9)) plan.steps.push_back({Kind::Await, 1});
  if (random.chance(0.6)) {
    plan.steps.push_back({Kind::Reset});
  } else {
    endScript(random, plan.steps);
  }
  return plan;
}

// Asks for much and reads nothing.
PeerPlan drawStalled(SimRandom& random, const Conduct& conduct) {
  PeerPlan plan;
  plan.conduct = conduct;
  plan.receiveBuffer = 4096;
  plan.steps.push_back({Kind::StopReading});
  plan.steps.push_back({Kind::Send, random.between(1000, 7000)});
  plan.steps.push_back({Kind::Park});
  if (random.chance(0.6)) {
    plan.steps.push_back({Kind::Reset});
  } else {
    plan.steps.push_back({Kind::StartReading});
    endScript(random, plan.steps);
  }
  return plan;
}

// The end of the stream comes close behind the bytes, and the server has its own mind.
PeerPlan drawEnding(SimRandom& random) {
  PeerPlan plan;
  plan.conduct = drawConduct(random);
  plan.conduct.event = static_cast<Event>(random.between(1, 5));
  plan.conduct.eventAt = random.below(2000);
  plan.conduct.pausesAtUp = random.chance(0.5);
  plan.conduct.leavesParts = random.chance(0.6);
  plan.steps.push_back({Kind::Send, drawSize(random)});
  endScript(random, plan.steps);
  return plan;
}

void drawMany(SimRandom& random, Scenario& scenario, std::size_t count,
              PeerPlan (*draw)(SimRandom&)) {
  for (std::size_t i = 0; i < count; ++i) scenario.peers.push_back(draw(random));
}

void drawStorm(SimRandom& random, Scenario& scenario) {
  const bool isSim = scenario.engine == FuzzEngine::Sim;
  const std::size_t count = random.between(20, isSim ? 100 : random.chance(0.4) ? 3000 : 400);
  drawMany(random, scenario, count, &drawVisitor);
  scenario.peersAtOnce =
      std::min<std::size_t>(2 * scenario.limits.connectionsMax + random.between(1, 60), 120);
}

void drawAllStalled(SimRandom& random, Scenario& scenario) {
  // More than there are receive buffers, now and then.
  const std::size_t buffers = scenario.proactor.receiveBuffers;
  const std::size_t few = random.between(2, 2 * buffers + 8);
  const std::size_t count = random.chance(0.3) ? random.between(few, 320) : few;
  Conduct conduct = drawConduct(random);
  if (random.chance(0.7)) conduct.answer = Conduct::Answer::LargeThenEcho;
  if (random.chance(0.7)) conduct.event = Event::None;
  // More than one send takes, and than the kernel does.
  conduct.large = random.between(100'000, count > 50 ? 1'500'000 : 4'000'000);
  conduct.largeMax = conduct.large;
  for (std::size_t i = 0; i < count; ++i) {
    conduct.usesOwnInput = random.chance(0.8);
    scenario.peers.push_back(drawStalled(random, conduct));
  }
  scenario.peersAtOnce = count;
}

}  // namespace

void drawPeers(SimRandom& random, Scenario& scenario) {
  switch (scenario.theme) {
    case FuzzTheme::Storm: drawStorm(random, scenario); break;
    case FuzzTheme::Stalled: drawAllStalled(random, scenario); break;
    case FuzzTheme::Mixed: drawMany(random, scenario, random.between(1, 40), &drawMixed); break;
    case FuzzTheme::Endings: drawMany(random, scenario, random.between(1, 40), &drawEnding); break;
  }
  if (scenario.theme == FuzzTheme::Mixed || scenario.theme == FuzzTheme::Endings) {
    scenario.peersAtOnce = random.between(1, scenario.peers.size());
  }
  if (scenario.limits.connectionsPerAddressMax == 0) return;
  for (PeerPlan& plan : scenario.peers) {
    plan.addressGroup = static_cast<std::uint32_t>(random.between(1, 3));
  }
}

PeerPlan probePlan() {
  PeerPlan plan;
  plan.steps = {
      {Kind::Send, 4}, {Kind::Await, 4}, {Kind::HalfClose}, {Kind::AwaitEnd}, {Kind::Close}};
  return plan;
}

}  // namespace gyre
