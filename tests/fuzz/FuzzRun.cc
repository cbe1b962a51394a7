#include "fuzz/FuzzRun.h"

#include <fcntl.h>

#include <thread>
#include <utility>

#include "fuzz/Judge.h"
#include "support/Sanitizers.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

// Nothing takes so long, also on a busy machine, unless it waits for ever.
#ifdef GYRE_TEST_SANITIZED
constexpr std::chrono::seconds kPatience{60};
#else
constexpr std::chrono::seconds kPatience{20};
#endif
constexpr milliseconds kPumpWait{2};

std::size_t openDescriptors() {
  std::size_t count = 0;
  for (int fd = 0; fd < 20'000; ++fd) count += ::fcntl(fd, F_GETFD) != -1 ? 1 : 0;
  return count;
}

}  // namespace

FuzzRun::FuzzRun(const Scenario& scenario, Verdict& verdict, FuzzCoverage& coverage)
    : scenario_(scenario),
      verdict_(verdict),
      coverage_(coverage),
      restartsLeft_(scenario.restarts) {}

void FuzzRun::play() {
  const std::size_t descriptors = openDescriptors();
  outside_ = std::make_unique<Outside>();
  context_.outside = outside_.get();
  server_ = std::make_unique<ServerThread>(context_);
  begin_ = Clock::now();
  crowd_ = std::make_unique<Crowd>(scenario_, directory_, server_->address());
  playPeers();
  if (verdict_.hasFailed()) return;
  if (!hasEnded_ && !context_.isEnding) {
    probe();
    if (scenario_.seed % 8 == 0) expectIdle();
  }
  if (!hasEnded_) endServer();
  if (!waitFor([this] { return server_->hasEnded(); }, "the server does not come to its end"))
    return;
  outside_->stop();  // while there are loops; callbacks may ask it for something until they end
  server_.reset();
  outside_.reset();
  if (verdict_.hasFailed()) return;
  const std::size_t left = openDescriptors();
  if (left != descriptors) {
    verdict_.fail(std::to_string(descriptors) + " descriptors were open before, " +
                  std::to_string(left) + " afterwards");
  }
  judge();
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - begin_).count();
  coverage_.noteTime(static_cast<std::uint64_t>(took), scenario_.seed);
}

void FuzzRun::playPeers() {
  while (!crowd_->isDone() && !verdict_.hasFailed()) {
    watch();
    crowd_->pump(kPumpWait);
    if (crowd_->parked() > 0) observeParked();
    if (crowd_->isDone() || !crowd_->isStillFor(kPatience)) continue;
    const SocketPeer* peer = crowd_->firstWaiting();
    if (peer == nullptr) continue;
    std::string text = "a peer waits for ever: " + peer->describe();
    for (Ledger* ledger : book_.all()) {
      if (ledger->peer() == &peer->facts()) text += "; " + ledger->describe();
    }
    verdict_.fail(text + "; " + server_->describe());
  }
}

// What comes at a time of its own.
void FuzzRun::watch() {
  const auto age = Clock::now() - begin_;
  if (!hasEnded_ && scenario_.endsAfter && age >= milliseconds(*scenario_.endsAfter)) endServer();
  const int restartsDone = scenario_.restarts - restartsLeft_;
  const bool isTime = age >= milliseconds(20) * (restartsDone + 1);
  if (restartsLeft_ > 0 && isTime && !hasEnded_ && !context_.isEnding) restart();
}

void FuzzRun::restart() {
  --restartsLeft_;
  ++coverage_.restarts;
  everEnded_ = true;
  server_->beginRestart();
  waitFor([this] { return !server_->isRestarting(); }, "the server does not restart");
}

void FuzzRun::endServer() {
  hasEnded_ = everEnded_ = true;
  server_->end(scenario_.ending);
}

// Peers may wait for those that are parked.
bool FuzzRun::mayWait() const {
  return scenario_.limits.connectionsMax != 0 || scenario_.limits.memoryBudget != 0;
}

void FuzzRun::observeParked() {
  const bool allParked = crowd_->parked() == crowd_->active();
  if (!allParked && !(mayWait() && crowd_->isStillFor(milliseconds(700)))) return;
  if (scenario_.endsWhileParked && !hasEnded_) endServer();
  if (!hasEnded_ && !context_.isEnding) {
    if (allParked) expectIdle();
    const std::size_t most = scenario_.limits.connectionsMax;
    const bool hasRoom = most == 0 || server_->connectionCount() < most;
    if (hasRoom && scenario_.limits.memoryBudget == 0) probe();
  }
  crowd_->release();
}

// Nothing happens, so the loops sleep. What still moves may end first.
void FuzzRun::expectIdle() {
  constexpr std::uint64_t kMost = 300;
  constexpr milliseconds kWindow{150};
  std::uint64_t iterations = 0;
  for (int window = 0; window < 8; ++window) {
    const std::uint64_t before = server_->iterations();
    std::this_thread::sleep_for(kWindow);
    iterations = server_->iterations() - before;
    if (iterations <= kMost) return;
    crowd_->pump(milliseconds(0));
  }
  verdict_.fail("the loops spin: " + std::to_string(iterations) + " iterations in " +
                std::to_string(kWindow.count()) + " ms while nothing moves; " +
                std::to_string(crowd_->parked()) + " peers do not read");
}

// A new client is served.
void FuzzRun::probe() {
  const Clock::time_point until = Clock::now() + kPatience;
  const bool mayFail = scenario_.mayRefuse() || scenario_.hasFatalFaults() || everEnded_ ||
                       scenario_.options.timeouts.idle != TimeSpan() ||
                       scenario_.options.timeouts.firstByte != TimeSpan() ||
                       scenario_.options.timeouts.writeStall != TimeSpan();
  while (!verdict_.hasFailed() && !context_.isEnding) {
    if (probeOnce()) return;
    // It may be closed, but it may not wait.
    if (mayFail && crowd_->peers().back()->isFinished() && Clock::now() < until) continue;
    verdict_.fail("a new client is not served: " + crowd_->peers().back()->describe() + "; " +
                  server_->describe() + "; " + std::to_string(crowd_->parked()) +
                  " peers do not read");
  }
}

bool FuzzRun::probeOnce() {
  ++coverage_.probes;
  const SocketPeer& peer = crowd_->add(probe_);
  // A server that has hundreds of megabytes to move on a busy machine is late, but not stuck.
  Clock::time_point movedAt = Clock::now();
  std::uint64_t moved = server_->bytesMoved();
  while (!peer.isFinished() && Clock::now() - movedAt < kPatience) {
    crowd_->pump(kPumpWait);
    const std::uint64_t now = server_->bytesMoved();
    if (std::exchange(moved, now) != now) movedAt = Clock::now();
  }
  return peer.isFinished() && peer.received().size() >= 4;
}

bool FuzzRun::waitFor(const std::function<bool()>& condition, const char* what) {
  const Clock::time_point until = Clock::now() + kPatience;
  while (!condition() && !verdict_.hasFailed()) {
    crowd_->pump(kPumpWait);
    if (Clock::now() > until) verdict_.fail(std::string(what) + "; " + server_->describe());
  }
  return !verdict_.hasFailed();
}

void FuzzRun::judge() {
  Judge judge(scenario_, book_, verdict_, coverage_);
  judge.mayBeTurnedAway = everEnded_ || context_.isEnding;
  for (const auto& peer : crowd_->peers()) judge.addPeer(peer->history());
  judge.judge();
}

}  // namespace gyre
