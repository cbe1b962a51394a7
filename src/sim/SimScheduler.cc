#include "sim/SimScheduler.h"

#include <algorithm>
#include <utility>

namespace gyre {

class SimScheduler::Running {
 public:
  explicit Running(Loop* loop) : loop_(loop), before_(loop != nullptr && loop->isRunning) {
    if (loop_ != nullptr) loop_->isRunning = true;
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (loop_ != nullptr) loop_->isRunning = before_;
  }

 private:
  Loop* const loop_;
  const bool before_;
};

void SimScheduler::addLoop(SimEngine& engine, std::function<void()> step) {
  GYRE_CHECK(loopOf(engine) == nullptr, "an engine is stepped by one loop");
  loops_.push_back(std::make_unique<Loop>());
  loops_.back()->step = std::move(step);
  loops_.back()->number = loops_.size();
  loops_.back()->engine = &engine;
}

void SimScheduler::removeEngine(SimEngine& engine) {
  std::erase(engines_, &engine);
  if (Loop* loop = loopOf(engine)) end(*loop);
}

void SimScheduler::end(Loop& loop) {
  loop.isOver = true;
  loop.engine = nullptr;
}

SimScheduler::Loop* SimScheduler::loopOf(const SimEngine& engine) const {
  for (const auto& loop : loops_) {
    if (loop->engine == &engine) return loop.get();
  }
  return nullptr;
}

bool SimScheduler::isReady(const Loop& loop) const {
  const bool isFree = !loop.isOver && !loop.isRunning && loop.stalledUntil <= world_.now();
  return isFree && loop.engine->isReady();
}

TimePoint SimScheduler::wakeTime(const Loop& loop) const {
  if (loop.isOver || loop.isRunning) return kForever;
  const TimePoint wake =
      loop.engine == nullptr || loop.engine->isReady() ? world_.now() : loop.engine->wakeTime();
  return std::max(wake, loop.stalledUntil);
}

bool SimScheduler::step(TimePoint limit) {
  for (;;) {
    const bool eventIsDue = world_.nextEvent() <= world_.now();
    if (Loop* loop = chooseLoop(eventIsDue)) {
      stepLoop(*loop);
      break;
    }
    if (eventIsDue) {
      world_.runNextEvent();
      break;
    }
    if (!advanceTime(limit)) return false;
  }
  ++world_.statistics().steps;
  countStep();
  return true;
}

void SimScheduler::countStep() {
  ++stepsNow_;
  GYRE_CHECK(stepsNow_ <= world_.options().stepsPerInstantMax,
             "virtual time stands still while the loops run and run: something spins");
}

// Null when it is the network's turn.
SimScheduler::Loop* SimScheduler::chooseLoop(bool eventIsDue) {
  ready_.clear();
  const bool isEarly = world_.strikes(SimFault::RunReturnsEarly);
  for (const auto& loop : loops_) {
    const bool mayRunEarly =
        isEarly && !loop->isOver && !loop->isRunning && loop->stalledUntil <= world_.now();
    if (mayRunEarly || isReady(*loop)) ready_.push_back(loop.get());
  }
  const std::size_t choices = ready_.size() + (eventIsDue ? 1 : 0);
  if (choices == 0) return nullptr;
  const std::size_t choice = world_.random().below(choices);
  if (choice == ready_.size()) return nullptr;
  Loop* loop = ready_[choice];
  if (!world_.strikes(SimFault::LoopStalled)) return loop;
  loop->stalledUntil = world_.now() + world_.skewed(std::chrono::seconds(2));
  return nullptr;
}

void SimScheduler::stepLoop(Loop& loop) {
  world_.note({.who = "network", .what = "steps loop", .amount = static_cast<int>(loop.number)});
  Loop* const outer = std::exchange(current_, &loop);
  loop.runs = 0;
  {
    const Running running(&loop);
    loop.step();
  }
  current_ = outer;
  if (loop.runs == 0) end(loop);
}

bool SimScheduler::advanceTime(TimePoint limit) {
  TimePoint next = world_.nextEvent();
  for (const auto& loop : loops_) next = std::min(next, wakeTime(*loop));
  if (next == kForever || next > limit) return false;
  if (next > world_.now()) stepsNow_ = 0;
  world_.advanceTo(std::max(next, world_.now()));
  return true;
}

void SimScheduler::runTo(TimePoint limit) {
  while (step(limit)) {
  }
  if (limit <= world_.now()) return;
  stepsNow_ = 0;
  world_.advanceTo(limit);
}

bool SimScheduler::enter(const SimEngine& engine) {
  Loop* loop = loopOf(engine);
  if (loop == nullptr || loop != current_) return true;
  return loop->runs++ > 0;
}

void SimScheduler::waitFor(const SimEngine& engine, TimePoint deadline) {
  countStep();  // also of a loop that nobody steps but its owner
  const Running running(loopOf(engine));
  while (!engine.isReady()) {
    const TimePoint wake = std::min(engine.wakeTime(), deadline);
    if (step(wake)) continue;
    if (wake != kForever) return runTo(wake);
    GYRE_CHECK(current_ != nullptr,
               "a loop waits for ever: nothing can happen any more in its network");
    return countStep();
  }
}

}  // namespace gyre
