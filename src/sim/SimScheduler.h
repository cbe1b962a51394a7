// SimScheduler: decides by the seed which loop is stepped next, or what the network does next.
//
// Thread  The one that steps the network.
// Borrows The engines, which leave before they die.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "sim/SimWorld.h"

namespace gyre {

// What the scheduler sees of an engine.
class SimEngine {
 public:
  // It would not wait if it ran now.
  virtual bool isReady() const = 0;
  // When it would not, at the latest.
  virtual TimePoint wakeTime() const = 0;

 protected:
  ~SimEngine() = default;
};

class SimScheduler {
 public:
  explicit SimScheduler(SimWorld& world) noexcept : world_(world) {}
  SimScheduler(const SimScheduler&) = delete;
  SimScheduler& operator=(const SimScheduler&) = delete;

  // `step` runs the engine once.
  void addLoop(SimEngine& engine, std::function<void()> step);
  void addEngine(SimEngine& engine) { engines_.push_back(&engine); }
  void removeEngine(SimEngine& engine);
  bool hasEngines() const noexcept { return !engines_.empty(); }

  // Does one thing, at `limit` at the latest. False when nothing is left to do until then.
  bool step(TimePoint limit);
  // Steps until `limit`, and leaves the time there.
  void runTo(TimePoint limit);

  // By an engine that runs. True when it must wait: its loop is not being stepped, or it has run in
  // this step before.
  bool enter(const SimEngine& engine);
  // Steps everything else until the engine is ready or the time has come. In a step also when
  // nothing will ever happen any more.
  void waitFor(const SimEngine& engine, TimePoint deadline);

 private:
  struct Loop {
    std::function<void()> step;
    std::size_t number = 0;
    const SimEngine* engine = nullptr;
    std::size_t runs = 0;    // of the engine, in this step
    bool isRunning = false;  // inside its step, or waiting
    bool isOver = false;
    TimePoint stalledUntil{};
  };

  // Marks a loop as running.
  class Running;

  Loop* loopOf(const SimEngine& engine) const;
  static void end(Loop& loop);
  void countStep();
  bool isReady(const Loop& loop) const;
  TimePoint wakeTime(const Loop& loop) const;
  Loop* chooseLoop(bool eventIsDue);
  void stepLoop(Loop& loop);
  bool advanceTime(TimePoint limit);

  SimWorld& world_;
  std::vector<SimEngine*> engines_;
  std::vector<std::unique_ptr<Loop>> loops_;  // in the order of their adding
  Loop* current_ = nullptr;
  std::vector<Loop*> ready_;  // for chooseLoop
  std::size_t stepsNow_ = 0;  // since time went on
};

}  // namespace gyre
