// BenchRun: conducts one run of gyre bench: connect, warm up, measure, take what is owed, close.
//
// Thread  The command's; it runs a loop of its own, the workers' events are posted to it.
// Owns    The workers.
// Ends    run() returns when every connection is closed.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "BenchCountFile.h"
#include "BenchPlan.h"
#include "BenchTally.h"
#include "BenchWorker.h"
#include "ProgressLine.h"
#include "gyre/loop/EventLoop.h"

namespace gyre {

struct BenchOutcome {
  BenchTally tally;
  std::string engine;
  bool wasInterrupted = false;
};

class BenchRun {
 public:
  // Throws std::system_error when a loop cannot be made.
  explicit BenchRun(const BenchPlan& plan);

  BenchOutcome run();

 private:
  enum class Stage : std::uint8_t { Connecting, WarmingUp, Measuring, Finishing, Closing };
  using Event = BenchWorker::Event;

  void makeWorkers();
  void onEvent(Event event);
  void start();
  void openWindow();
  void onOpened();
  void closeWindow();
  void onWindowClosed();
  void finishUp();
  void closeAll();
  void endEarly();
  void interrupt();
  void showProgress();
  void tellHarness(const char* word);
  void forAll(void (BenchWorker::*step)());

  const BenchPlan& plan_;
  const BenchPayload payload_;
  const BenchCountFile countFile_;
  EventLoop loop_;
  Stage stage_ = Stage::Connecting;
  bool wasInterrupted_ = false;
  std::array<std::size_t, 6> events_{};  // how many workers have told of each
  ProgressLine progress_;
  std::vector<std::unique_ptr<BenchWorker>> workers_;
};

}  // namespace gyre
