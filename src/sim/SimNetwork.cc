#include "gyre/sim/SimNetwork.h"

#include <utility>

#include "sim/SimFabric.h"
#include "sim/SimProactor.h"

namespace gyre {

SimNetwork::SimNetwork(const SimOptions& options) : fabric_(std::make_unique<SimFabric>(options)) {}

SimNetwork::~SimNetwork() {
  GYRE_CHECK(!fabric_->scheduler.hasEngines(), "a SimNetwork was destroyed before its engines");
  GYRE_CHECK(fabric_->peers == 0, "a SimNetwork was destroyed before its clients");
}

std::unique_ptr<Proactor> SimNetwork::makeProactor(std::string name) {
  const SimSurroundings surroundings{fabric_->world, fabric_->tcp, fabric_->scheduler};
  return std::make_unique<SimProactor>(surroundings, std::move(name));
}

void SimNetwork::addLoop(Proactor& engine, std::function<void()> step) {
  auto* simulated = dynamic_cast<SimProactor*>(&engine);
  GYRE_CHECK(simulated != nullptr, "a simulated network steps simulated engines only");
  fabric_->scheduler.addLoop(*simulated, std::move(step));
}

bool SimNetwork::step() { return fabric_->scheduler.step(kForever); }

bool SimNetwork::runUntil(const std::function<bool()>& predicate, Duration timeout) {
  const TimePoint deadline = now() + timeout;
  while (!predicate()) {
    if (!fabric_->scheduler.step(deadline)) return false;
  }
  return true;
}

void SimNetwork::runFor(Duration duration) { fabric_->scheduler.runTo(now() + duration); }

TimePoint SimNetwork::now() const noexcept { return fabric_->world.now(); }

int SimNetwork::openEvent() { return fabric_->tcp.openEvent(); }

void SimNetwork::signalEvent(int fd, std::uint64_t value) { fabric_->tcp.signalEvent(fd, value); }

const SimOptions& SimNetwork::options() const noexcept { return fabric_->world.options(); }

const SimStatistics& SimNetwork::statistics() const noexcept { return fabric_->world.statistics(); }

std::uint64_t SimNetwork::traceHash() const noexcept { return fabric_->world.trace().hash(); }

void SimNetwork::note(std::string_view text) { fabric_->world.note({.who = "user", .what = text}); }

void SimNetwork::setTraceSink(std::function<void(std::string_view line)> sink) {
  fabric_->world.trace().setSink(std::move(sink));
}

}  // namespace gyre
