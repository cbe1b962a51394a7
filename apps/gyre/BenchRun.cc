#include "BenchRun.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <utility>

#include "EngineOption.h"
#include "gyre/loop/SignalWatcher.h"

namespace gyre {

namespace {

constexpr std::chrono::seconds kConnectLimit{10};  // and a second more for so many:
constexpr std::size_t kConnectionsPerSecond = 1000;
constexpr std::chrono::seconds kReplyLimit{5};  // for what is still owed when the window closes
// A harness reads the server's counters a moment after each edge of the window; the load is the
// same at both.
constexpr std::chrono::milliseconds kHarnessPause{50};

Duration secondsToDuration(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

ProactorOptions loopOptions(const BenchPlan& plan) {
  ProactorOptions options = proactorOptions(plan.engine);
  options.ringsPlanned = static_cast<std::uint32_t>(plan.threads) + 1;
  return options;
}

}  // namespace

BenchRun::BenchRun(const BenchPlan& plan)
    : plan_(plan), countFile_(plan.countFile), loop_(loopOptions(plan)) {
  SignalWatcher::watch(&loop_, {SIGINT, SIGTERM}, [this](int) { interrupt(); });
  makeWorkers();
}

void BenchRun::makeWorkers() {
  std::size_t first = 0;
  for (std::size_t i = 0; i < plan_.threads; ++i) {
    const std::size_t next = plan_.connections * (i + 1) / plan_.threads;
    workers_.push_back(std::make_unique<BenchWorker>(
        plan_, payload_, BenchShare{i, first, next - first, countFile_.counter()},
        [this](Event event) { loop_.queueInLoop([this, event] { onEvent(event); }); }));
    first = next;
  }
}

BenchOutcome BenchRun::run() {
  loop_.queueInLoop([this] { forAll(&BenchWorker::connectAll); });
  const std::chrono::seconds more(plan_.connections / kConnectionsPerSecond);
  loop_.runAfter(kConnectLimit + more, [this] {
    if (stage_ == Stage::Connecting) endEarly();
  });
  if (progress_.isShown() && !plan_.isHarnessed) {
    loop_.runEvery(ProgressLine::kInterval, [this] { showProgress(); });
  }
  loop_.loop();
  progress_.clear();
  BenchOutcome outcome;
  outcome.wasInterrupted = wasInterrupted_;
  outcome.engine = loop_.proactor().name();
  for (const auto& worker : workers_) outcome.tally.add(worker->tally());
  return outcome;
}

void BenchRun::onEvent(Event event) {
  if (++events_[static_cast<std::size_t>(event)] != workers_.size()) return;
  switch (event) {
    case Event::Settled: return start();
    case Event::Opened: return onOpened();
    case Event::WindowClosed: return onWindowClosed();
    case Event::Finished: return closeAll();
    case Event::Lost: return stage_ == Stage::Measuring ? closeWindow() : endEarly();
    case Event::Closed: return loop_.quit();
  }
}

void BenchRun::start() {
  if (stage_ != Stage::Connecting) return;
  stage_ = Stage::WarmingUp;
  forAll(&BenchWorker::start);
  loop_.runAfter(secondsToDuration(plan_.warmup), [this] { openWindow(); });
}

void BenchRun::openWindow() {
  if (stage_ != Stage::WarmingUp) return;
  stage_ = Stage::Measuring;
  forAll(&BenchWorker::openWindow);
}

void BenchRun::onOpened() {
  tellHarness("open");
  loop_.runAfter(secondsToDuration(plan_.seconds), [this] { closeWindow(); });
}

void BenchRun::closeWindow() {
  if (stage_ != Stage::Measuring) return;
  stage_ = Stage::Finishing;
  forAll(&BenchWorker::closeWindow);
}

void BenchRun::onWindowClosed() {
  tellHarness("closed");
  loop_.runAfter(plan_.isHarnessed ? kHarnessPause : Duration{}, [this] { finishUp(); });
}

void BenchRun::finishUp() {
  if (stage_ == Stage::Closing) return;
  forAll(&BenchWorker::finishUp);
  loop_.runAfter(kReplyLimit, [this] { closeAll(); });
}

void BenchRun::closeAll() {
  if (std::exchange(stage_, Stage::Closing) == Stage::Closing) return;
  forAll(&BenchWorker::closeAll);
}

void BenchRun::endEarly() {
  if (stage_ == Stage::Closing) return;
  forAll(&BenchWorker::finishUp);
  closeAll();
}

// The first time it ends the sending, the second time it does not wait for what is owed.
void BenchRun::interrupt() {
  const bool isFirst = !std::exchange(wasInterrupted_, true);
  if (isFirst && stage_ == Stage::Measuring) return closeWindow();
  if (isFirst && stage_ == Stage::WarmingUp) {
    stage_ = Stage::Finishing;
    return finishUp();
  }
  endEarly();
}

void BenchRun::showProgress() {
  std::uint64_t messages = 0;
  for (const auto& worker : workers_) messages += worker->messagesSoFar();
  progress_.show(messages, plan_.connections);
}

void BenchRun::tellHarness(const char* word) {
  if (!plan_.isHarnessed) return;
  std::printf("%s\n", word);
  std::fflush(stdout);
}

void BenchRun::forAll(void (BenchWorker::*step)()) {
  for (const auto& worker : workers_) (worker.get()->*step)();
}

}  // namespace gyre
