// The loop: what it runs and in which order. Its residents are in EventLoopResidents.cc.
#include "gyre/loop/EventLoop.h"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "base/CycleCount.h"
#include "base/LogFormat.h"
#include "gyre/base/Check.h"
#include "loop/DirtyQueue.h"
#include "loop/ResidentRegistry.h"
#include "loop/TimerInbox.h"
#include "loop/TimerQueue.h"
#include "loop/TimingWheel.h"
#include "proactor/BlockPool.h"

namespace gyre {
namespace {

// Functors of one iteration, so that a flood of them does not starve the connections.
constexpr std::size_t kFunctorBudget = 1024;
// Room kept for functors after a flood.
constexpr std::size_t kFunctorsKept = 4096;
// Callbacks of settle() that make others dirty have their turn in the same iteration, so often.
constexpr int kSettleRounds = 4;
constexpr std::chrono::milliseconds kChoreInterval{500};
// When there was no memory to take timers of other threads.
constexpr std::chrono::milliseconds kArrivalsRetry{10};
// Room for residents from the start, so that what a server places on its loops (listeners) needs no
// memory there: nobody could be told.
constexpr std::size_t kResidentsReserved = 16;

// std::min by value: by reference each would go through memory.
TimePoint earlier(TimePoint a, TimePoint b) noexcept { return b < a ? b : a; }

thread_local EventLoop* currentLoop = nullptr;

class CurrentLoopScope {
 public:
  explicit CurrentLoopScope(EventLoop* loop) noexcept
      : previous_(std::exchange(currentLoop, loop)) {}
  CurrentLoopScope(const CurrentLoopScope&) = delete;
  CurrentLoopScope& operator=(const CurrentLoopScope&) = delete;
  ~CurrentLoopScope() { currentLoop = previous_; }

 private:
  EventLoop* previous_;
};

std::unique_ptr<Proactor> ownEngine(std::unique_ptr<Proactor> proactor) {
  GYRE_CHECK(proactor != nullptr, "an EventLoop was given no engine");
  GYRE_CHECK(
      proactor->isOwnThread(),
      "an EventLoop was given an engine of another thread: make it on the thread of the loop");
  return proactor;
}

}  // namespace

EventLoop::EventLoop() : EventLoop(defaultProactorOptions()) {}

EventLoop::EventLoop(const ProactorOptions& options) : EventLoop(makeProactor(options)) {}

EventLoop::EventLoop(std::unique_ptr<Proactor> proactor)
    : thread_(std::this_thread::get_id()),
      blocks_(std::make_unique<BlockPool>()),
      proactor_(ownEngine(std::move(proactor))),
      residents_(std::make_unique<ResidentRegistry>()),
      timers_(std::make_unique<TimerQueue>()),
      arrivingTimers_(std::make_unique<TimerInbox>()),
      mailbox_(makeRef<Mailbox>(this, proactor_.get())),
      dirty_(std::make_unique<DirtyQueue>()) {
  setLeftOutHook(&EventLoop::noteLeftOutLine);
  reserveResidents();
}

void EventLoop::reserveResidents() {
  residents_->reserve(kResidentsReserved);
  dirty_->reserve(kResidentsReserved);
}

EventLoop::~EventLoop() {
  assertInLoopThread();
  GYRE_CHECK(currentLoop != this, "an EventLoop was destroyed from inside its loop()");
  drainResidents();
  mailbox_->close();
  while (!mailbox_->isEmpty() || hasFunctors()) finishFunctors();
  // The last functors may have placed something on the loop.
  drainResidents();
  const CurrentLoopScope scope(this);
  functors_.clear();
  // What callbacks have captured may cancel and set timers while it dies.
  while (timers_->size() != 0 || !arrivingTimers_->isEmpty()) {
    const TimerQueue ending = std::exchange(*timers_, TimerQueue());
    const auto arrived = arrivingTimers_->takeAll();
  }
}

EventLoop* EventLoop::current() noexcept { return currentLoop; }

const ProactorOptions& EventLoop::options() const noexcept {
  static const ProactorOptions defaults;
  const ProactorOptions* recipe = proactor_->recipe();
  return recipe != nullptr ? *recipe : defaults;
}

// --- Any thread

void EventLoop::quit() noexcept {
  quit_.store(true, std::memory_order_release);
  wakeup();
}

bool EventLoop::runInLoop(Functor functor) {
  if (!isInLoopThread()) return queueInLoop(std::move(functor));
  invoke(functor, "functor");
  return true;
}

bool EventLoop::queueInLoop(Functor functor) { return mailbox_->post(std::move(functor)); }

void EventLoop::wakeup() noexcept { proactor_->wake(); }

// A thread that steps several loops (a simulation) is in the one it steps, and in none of the
// others.
bool EventLoop::isInLoopThread() const noexcept {
  if (currentLoop != nullptr) return currentLoop == this;
  return thread_ == std::this_thread::get_id();
}

void EventLoop::assertInLoopThread() const {
  GYRE_CHECK(isInLoopThread(), "called on another thread than the loop's: use runInLoop");
}

TimerId EventLoop::runAt(TimePoint when, Functor callback) {
  return addTimer(when, Duration::zero(), std::move(callback));
}

TimerId EventLoop::runAfter(TimeSpan delay, Functor callback) {
  return addTimer(addSaturated(now(), delay), Duration::zero(), std::move(callback));
}

TimerId EventLoop::runEvery(TimeSpan interval, Functor callback) {
  GYRE_CHECK(interval > Duration::zero(), "runEvery needs an interval above zero");
  return addTimer(addSaturated(now(), interval), interval, std::move(callback));
}

TimerId EventLoop::addTimer(TimePoint due, Duration interval, Functor&& callback) {
  const TimerId id(lastTimer_.fetch_add(1, std::memory_order_relaxed) + 1);
  if (isInLoopThread()) {
    timers_->add({id, due, interval, std::move(callback)});
  } else {
    arrivingTimers_->put({id, due, interval, std::move(callback)});
    wakeup();
  }
  return id;
}

TimerId EventLoop::reserveTimer(Functor callback) {
  assertInLoopThread();
  const TimerId id(lastTimer_.fetch_add(1, std::memory_order_relaxed) + 1);
  timers_->addIdle(id, std::move(callback));
  return id;
}

void EventLoop::setTimer(TimerId timer, TimeSpan delay) noexcept {
  assertInLoopThread();
  timers_->set(timer, addSaturated(now(), delay));
}

void EventLoop::unsetTimer(TimerId timer) noexcept {
  assertInLoopThread();
  timers_->unset(timer);
}

void EventLoop::cancel(TimerId timer) {
  if (isInLoopThread()) return cancelInLoop(timer);
  queueInLoop([this, timer] { cancelInLoop(timer); });
}

void EventLoop::cancelInLoop(TimerId timer) noexcept {
  takeArrivedTimers();  // it may be among them
  const bool isArriving = !arrivingTimers_->isEmpty() && arrivingTimers_->take(timer).id.isValid();
  if (!isArriving) timers_->cancel(timer);
}

// --- Loop thread

void EventLoop::setSlowCallbackLimit(TimeSpan limit) {
  assertInLoopThread();
  slowLimit_ = limit.limit();
}

bool EventLoop::isDispatching() const {
  assertInLoopThread();
  return isDispatching_;
}

void EventLoop::loop() {
  assertInLoopThread();
  lastReturn_ = cycleCount();
  const CurrentLoopScope scope(this);
  while (!quit_.load(std::memory_order_acquire)) iterate(kForever);
  // What was posted before quit(): the rest of the batch at hand, and one more.
  finishFunctors();
  finishFunctors();
  quit_.store(false, std::memory_order_relaxed);
}

void EventLoop::runOnce(TimePoint deadline) {
  assertInLoopThread();
  lastReturn_ = cycleCount();
  const CurrentLoopScope scope(this);
  iterate(deadline);
}

void EventLoop::iterate(TimePoint deadline) {
  GYRE_CHECK(!isDispatching_, "the loop was run from inside an I/O handler");
  proactor_->mutableCounters().iterations.add();
  runFunctors();
  runTimers();
  settleDirty();
  runChores();
  isDispatching_ = true;
  proactor_->run(waitDeadline(deadline));
  isDispatching_ = false;
}

// Takes what was posted before the iteration; what is posted meanwhile waits for the next one.
void EventLoop::runFunctors() {
  if (!hasFunctors()) {
    if (mailbox_->isEmpty()) return;
    nextFunctor_ = 0;
    functors_.clear();
    calls_ = mailbox_->take(functors_);
  }
  if (calls_) runCalls();
  for (std::size_t left = kFunctorBudget; left > 0 && nextFunctor_ < functors_.size(); --left) {
    // Moved out: a functor may run the loop (the destructor of a server does).
    Functor functor = std::move(functors_[nextFunctor_++]);
    invoke(functor, "functor");
    proactor_->mutableCounters().functors.add();
    noteReturn("functor", proactor_->counters().functors.get());
    if (calls_) runCalls();
  }
  // After a flood.
  if (!hasFunctors() && functors_.capacity() > kFunctorsKept) functors_ = std::vector<Functor>();
}

// Those that were posted before the functor that comes next.
void EventLoop::runCalls() noexcept {
  while (calls_ && calls_->place_ <= nextFunctor_) {
    const RefPtr<LoopCall> call = std::move(calls_);
    calls_ = std::move(call->next_);
    // acq_rel as in Mailbox::post(). From here on it may be posted again.
    call->isPosted_.exchange(false, std::memory_order_acq_rel);
    if (!call->functor_) continue;  // it was disarmed
    const bool wasRunning = std::exchange(call->isRunning_, true);
    invoke(call->functor_, "functor");
    call->isRunning_ = wasRunning;
    if (call->isDisarmed_ && !wasRunning) call->functor_ = nullptr;
    proactor_->mutableCounters().functors.add();
    noteReturn("functor", proactor_->counters().functors.get());
  }
}

void EventLoop::takeArrivedTimers() noexcept {
  if (arrivingTimers_->isEmpty()) return;
  const bool isDone = arrivingTimers_->moveTo(*timers_);
  if (!isDone && arrivalsDue_ == kForever)
    logError("timers of other threads have to wait: no memory");
  arrivalsDue_ = isDone ? kForever : now() + kArrivalsRetry;
}

void EventLoop::runTimers() {
  // Judged by a time before which all that came has been dispatched: who was stopped for a while
  // finds the bytes that came meanwhile first.
  if (wheel_ != nullptr) wheel_->advance(proactor_->caughtUpAt());
  takeArrivedTimers();
  if (timers_->nextDue() == kForever) return;  // so the time is not asked for
  timers_->runDue(now(), [this](Functor& callback) {
    invoke(callback, "timer");
    proactor_->mutableCounters().timers.add();
    noteReturn("timer", proactor_->counters().timers.get());
  });
}

void EventLoop::settleDirty() {
  isDispatching_ = true;
  for (int round = 0; round < kSettleRounds && !dirty_->isEmpty(); ++round) {
    settling_ = dirty_->size();
    for (std::size_t left = settling_; left > 0; --left) {
      LoopResident& resident = dirty_->pop();
      resident.isDirty_ = false;
      resident.settle();
    }
  }
  isDispatching_ = false;
  // Here, because a removed resident may have been dirty. Others may be so all the time.
  if (residents_->hasRemoved()) residents_->collect();
}

// What need not be done at once: surplus blocks are given back, left-out log lines counted out.
void EventLoop::runChores() {
  if (!blocks_->hasSurplus() && !hasLeftOutLines_) {
    choresDue_ = kForever;
  } else if (choresDue_ == kForever) {
    choresDue_ = now() + kChoreInterval;
  } else if (now() >= choresDue_) {
    blocks_->trim();
    hasLeftOutLines_ = hasLeftOutLines_ && reportLeftOutLines();
    choresDue_ = now() + kChoreInterval;
  }
}

// Not in a simulation: which lines are left out depends on real time, and what its loops do must
// not.
void EventLoop::noteLeftOutLine() noexcept {
  EventLoop* loop = currentLoop;
  if (loop != nullptr && loop->proactor_->wokenCount() != 0) loop->hasLeftOutLines_ = true;
}

TimePoint EventLoop::waitDeadline(TimePoint deadline) const noexcept {
  TimePoint timeoutDue = kForever;
  if (wheel_ != nullptr) {
    timeoutDue = wheel_->nextDue();
    // They wait for the engine to catch up (runTimers): it needs a deadline that has come for that.
    if (timeoutDue <= proactor_->wokenAt()) return timeoutDue;
  }
  // The mailbox is looked at again: the wake-up of a post is spent when a wait in between, nested
  // or skipped for a long batch, has taken notice of it.
  if (hasFunctors() || !dirty_->isEmpty() || !mailbox_->isEmpty()) return kNoWait;
  if (quit_.load(std::memory_order_acquire)) return kNoWait;
  if (!arrivingTimers_->isEmpty()) {
    if (arrivalsDue_ == kForever) return kNoWait;
    deadline = earlier(deadline, arrivalsDue_);
  }
  return earlier(earlier(deadline, timers_->nextDue()), earlier(timeoutDue, choresDue_));
}

// A callback has run since the loop woke, or since the one before it returned.
void EventLoop::noteReturn(const char* what, std::uint64_t number) noexcept {
  const std::uint64_t count = cycleCount();
  const std::uint64_t began = std::max(std::exchange(lastReturn_, count), proactor_->wokenCount());
  const auto taken = static_cast<std::int64_t>(count - began);
  if (taken < kFewCycles || slowLimit_ == kNever) return;
  const auto sinceWoken = static_cast<double>(count - proactor_->wokenCount());
  const TimePoint returned = now();
  const Duration span = returned - proactor_->wokenAt();
  noteLong(Duration(static_cast<Duration::rep>(static_cast<double>(span.count()) *
                                               static_cast<double>(taken) / sinceWoken)),
           returned, what, number);
}

void EventLoop::noteLong(Duration took, TimePoint returned, const char* what,
                         std::uint64_t number) noexcept {
  LoopCounters& counters = proactor_->mutableCounters();
  counters.longestCallback.raiseTo(static_cast<std::uint64_t>(took.count()));
  if (took < slowLimit_) return;
  counters.slowCallbacks.add();
  if (returned < slowReportDue_) return;
  slowReportDue_ = returned + std::chrono::seconds(1);
  logWarn("a callback held its loop up for {} ms: {} {}",
          std::chrono::duration_cast<std::chrono::milliseconds>(took).count(), what, number);
}

void EventLoop::invoke(Functor& functor, const char* what) noexcept {
  try {
    functor();
    return;
  } catch (const std::exception& error) {
    logError("a {} threw: {}", what, error.what());
  } catch (...) {
    logError("a {} threw something that is no std::exception", what);
  }
  proactor_->mutableCounters().callbackFailures.add();
}

// --- Ending

void EventLoop::drainResidents() {
  closeResidents(nullptr);
  while (residents_->size() != 0) {
    runOnce(now() + std::chrono::milliseconds(100));
    closeResidents(nullptr);  // those that functors have placed meanwhile
  }
  runOnce(kNoWait);  // lets go of the last
}

void EventLoop::finishFunctors() {
  lastReturn_ = cycleCount();
  const CurrentLoopScope scope(this);
  do {
    runFunctors();
  } while (hasFunctors());
}

}  // namespace gyre
