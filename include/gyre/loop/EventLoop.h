// EventLoop: one thread's loop: runs functors and timers, waits for completions, dispatches them.
//
// Thread  Lives on the thread that made it. Methods under "Any thread" post; the others CHECK.
// Owns    Its Proactor, its timers and queued functors, and its residents (connections, acceptors)
//         until they have finished closing.
// Ends    On its own thread. The destructor closes what still lives on the loop, waits until
//         nothing is in flight, and runs every functor that was accepted. A post after that says
//         no.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "gyre/base/Export.h"
#include "gyre/base/RefPtr.h"
#include "gyre/loop/CoarseTime.h"
#include "gyre/loop/LoopCall.h"
#include "gyre/loop/LoopResident.h"
#include "gyre/loop/Mailbox.h"
#include "gyre/loop/TimerId.h"
#include "gyre/proactor/Proactor.h"

namespace gyre {

class BlockPool;
class DirtyQueue;
class ResidentRegistry;
class TimerInbox;
class TimerQueue;
class TimingWheel;

class GYRE_API EventLoop {
 public:
  // Chooses its engine: defaultProactorOptions(). Throws std::system_error naming cause and cure.
  EventLoop();
  explicit EventLoop(const ProactorOptions& options);
  // Loops of other threads are made like it where makeProactor() made the engine; for an engine
  // that was made otherwise a server has no threads (setThreadNum(0)), or loops of the user's
  // (setLoops). REQUIRES: the proactor was made on this thread.
  explicit EventLoop(std::unique_ptr<Proactor> proactor);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  // REQUIRES: on the loop's thread, not from inside loop().
  ~EventLoop();

  // The loop that the calling thread runs at the moment, or null.
  static EventLoop* current() noexcept;

  // --- Any thread

  // loop() returns after the iteration at hand and after all functors posted before. Called before
  // loop(), that returns at once.
  void quit() noexcept;
  // Runs it here and now on the loop's thread, else as queueInLoop.
  bool runInLoop(Functor functor);
  // Runs it in the loop, later, in the order of posting. False after the loop's end: it is
  // destroyed unrun. What it throws is logged and counted. May itself throw std::bad_alloc.
  // What a callback queues runs after all callbacks of this iteration and before the loop waits
  // again: then functors, timers, and the sends that were asked for have their turn, in this order.
  bool queueInLoop(Functor functor);
  // Makes a waiting loop go round once.
  void wakeup() noexcept;
  bool isInLoopThread() const noexcept;
  void assertInLoopThread() const;

  // Timers run on the loop's thread. A time in the past and a delay of zero are due at once, a
  // delay beyond kLongestSpan never; an interval is > 0.
  // Setting one may throw std::bad_alloc: then there is none. Repeating needs no more memory.
  // Repeating timers stay on their grid: a late one neither drifts nor piles up.
  TimerId runAt(TimePoint when, Functor callback);
  TimerId runAfter(TimeSpan delay, Functor callback);
  TimerId runEvery(TimeSpan interval, Functor callback);
  // Nothing when it has run. On the loop's thread it certainly does not run afterwards, and this
  // does not throw; elsewhere it may throw std::bad_alloc: then nothing was cancelled.
  void cancel(TimerId timer);

  const LoopCounters& counters() const noexcept { return proactor_->counters(); }
  // Outlives the loop: how to reach it without knowing whether it still lives.
  const RefPtr<Mailbox>& mailbox() const noexcept { return mailbox_; }
  // What its engine was made from; the defaults for an engine that makeProactor() has not made.
  const ProactorOptions& options() const noexcept;
  // True when loops of other threads can be made with an engine like this one's.
  bool canBeMadeAlike() const noexcept { return proactor_->recipe() != nullptr; }
  // True when a socket may be moved from this loop to the other.
  bool sharesSocketsWith(const EventLoop& other) const noexcept {
    return proactor_->sharesSocketsWith(*other.proactor_);
  }
  TimePoint now() const noexcept { return proactor_->now(); }

  // --- Loop thread

  // Runs until quit().
  void loop();
  // A callback, functor or timer that holds the loop up for longer is logged (at most once a
  // second) and counted: 500 ms unless said, zero: no limit. Exact to 4 ms.
  void setSlowCallbackLimit(TimeSpan limit);
  // One iteration that waits until the deadline at most. REQUIRES: not from an I/O handler.
  void runOnce(TimePoint deadline);
  // How exact the timeouts of connections are: 100 ms unless said. Throws std::system_error
  // (EINVAL) unless it is 1 ms to 1 h. REQUIRES: no connection with timeouts lives on the loop.
  void setTimeoutTick(TimeSpan tick);
  // Its verbs belong on the loop's thread too. Not checked: they are the path of every message.
  Proactor& proactor() noexcept { return *proactor_; }
  // True exactly while handlers of completions run, or the settle() of residents: user callbacks.
  bool isDispatching() const;

  // --- Internal: timers that must not fail

  // Takes the memory of a timer that setTimer() makes due: once, and again each time. May throw
  // std::bad_alloc. It stays until cancel().
  TimerId reserveTimer(Functor callback);
  // Due after this delay, and no longer when it was due before. REQUIRES: made by reserveTimer().
  void setTimer(TimerId timer, TimeSpan delay) noexcept;
  void unsetTimer(TimerId timer) noexcept;

  // --- Internal: for residents

  BlockPool& blocks() noexcept { return *blocks_; }
  // A callback of this connection has returned.
  void noteCallback(std::uint64_t connection) noexcept { noteReturn("connection", connection); }
  // May throw std::bad_alloc: then nothing was added.
  void addResident(std::shared_ptr<LoopResident> resident);
  // The resident stays alive until the end of the iteration.
  void removeResident(LoopResident& resident) noexcept;
  // Its settle() runs before the loop waits next.
  void markDirty(LoopResident& resident) noexcept;
  // For settle(): no other resident is settled beside it.
  bool settlesOne() const noexcept { return settling_ == 1; }
  // A place in the timing wheel; LoopResident::checkTimeouts tells the rest. Adding may throw
  // std::bad_alloc.
  std::uint32_t addTimeout(LoopResident& resident, TimePoint due);
  void moveTimeout(std::uint32_t entry, TimePoint due) noexcept;
  void removeTimeout(std::uint32_t entry) noexcept;
  // At this time the resident is asked in any case; kForever: no longer. To the tick.
  void setTimeoutDeadline(std::uint32_t entry, TimePoint due) noexcept;
  TimePoint timeoutDeadline(std::uint32_t entry) const noexcept;
  Duration timeoutTick() const noexcept { return timeoutTick_; }
  std::size_t residentCount() const noexcept;
  std::size_t residentCount(const void* group) const noexcept;
  // Calls it with each resident of a group, which neither adds nor removes any meanwhile.
  void visitResidents(const void* group, const std::function<void(LoopResident&)>& visit);
  // Begins to close the residents of a group, all of them for null.
  void closeResidents(const void* group) noexcept;

 private:
  void reserveResidents();
  TimerId addTimer(TimePoint due, Duration interval, Functor&& callback);
  void cancelInLoop(TimerId timer) noexcept;
  void iterate(TimePoint deadline);
  void runFunctors();
  void runCalls() noexcept;
  bool hasFunctors() const noexcept { return nextFunctor_ < functors_.size() || calls_; }
  void takeArrivedTimers() noexcept;
  void runTimers();
  void settleDirty();
  void runChores();
  static void noteLeftOutLine() noexcept;
  void invoke(Functor& functor, const char* what) noexcept;
  void noteReturn(const char* what, std::uint64_t number) noexcept;
  void noteLong(Duration took, TimePoint returned, const char* what, std::uint64_t number) noexcept;
  TimePoint waitDeadline(TimePoint deadline) const noexcept;
  void drainResidents();
  void finishFunctors();

  const std::thread::id thread_;
  std::unique_ptr<BlockPool> blocks_;  // outlives what may write to it
  std::unique_ptr<Proactor> proactor_;
  std::unique_ptr<ResidentRegistry> residents_;
  std::unique_ptr<TimerQueue> timers_;
  std::unique_ptr<TimerInbox> arrivingTimers_;
  std::unique_ptr<TimingWheel> wheel_;  // made with the first timeout
  Duration timeoutTick_ = std::chrono::milliseconds(100);
  RefPtr<Mailbox> mailbox_;
  std::vector<Functor> functors_;  // taken from the mailbox
  std::size_t nextFunctor_ = 0;    // the first of them that has not run
  RefPtr<LoopCall> calls_;         // taken with them
  std::unique_ptr<DirtyQueue> dirty_;
  std::size_t settling_ = 0;  // residents, in the round that runs
  TimePoint choresDue_ = kForever;
  TimePoint arrivalsDue_ = kForever;  // of timers that found no memory: the next try
  Duration slowLimit_ = std::chrono::milliseconds(500);
  std::uint64_t lastReturn_ = 0;  // of a callback, by the processor's counter
  TimePoint slowReportDue_{};
  std::atomic<std::uint64_t> lastTimer_{0};
  std::atomic<bool> quit_{false};
  bool isDispatching_ = false;
  bool hasLeftOutLines_ = false;  // one of this thread, which has not been counted out
};

}  // namespace gyre
