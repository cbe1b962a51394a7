#include "gyre/loop/EventLoopThreadPool.h"

#include <sched.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/CallOrder.h"
#include "loop/CpuQuota.h"

namespace gyre {
namespace {

int usableCpus() {
  cpu_set_t cpus;
  if (::sched_getaffinity(0, sizeof cpus, &cpus) != 0) return 1;
  const int count = std::clamp(CPU_COUNT(&cpus), 1, EventLoopThreadPool::kThreadsMax);
  static const std::optional<int> quota = cpuQuota();  // not read again for each server
  return std::min(count, quota.value_or(count));
}

}  // namespace

EventLoopThreadPool::EventLoopThreadPool(EventLoop* baseLoop, std::string name)
    : baseLoop_(baseLoop), name_(std::move(name)), threadNum_(usableCpus()) {}

EventLoopThreadPool::~EventLoopThreadPool() = default;

void EventLoopThreadPool::setThreadNum(int count) {
  checkCalledBefore(!isStarted_, "setThreadNum", "start()");
  if (count < 0 || count > kThreadsMax) {
    throw std::system_error(EINVAL, std::generic_category(),
                            std::to_string(count) + " threads are not possible (use 0 to " +
                                std::to_string(kThreadsMax) + "; 0: all on the main loop)");
  }
  threadNum_ = count;
}

void EventLoopThreadPool::setCpus(std::vector<int> cpus) {
  checkCalledBefore(!isStarted_, "setCpus", "start()");
  cpus_ = std::move(cpus);
}

void EventLoopThreadPool::setLoops(std::vector<EventLoop*> loops) {
  checkCalledBefore(!isStarted_, "setLoops", "start()");
  loops_ = std::move(loops);
}

void EventLoopThreadPool::start(const ThreadInitCallback& init) {
  baseLoop_->assertInLoopThread();
  GYRE_CHECK(!isStarted_, "an EventLoopThreadPool was started twice");
  if (loops_.empty()) startThreads(init);
  checkLoops();
  if (loops_.empty()) {
    if (init) init(baseLoop_);
    loops_.push_back(baseLoop_);
  }
  isStarted_ = true;
}

// A socket that one engine has opened is handed to another one: so both must be of one kind.
void EventLoopThreadPool::checkLoops() const {
  for (const EventLoop* loop : loops_) {
    GYRE_CHECK(loop != nullptr, "setLoops was given a null pointer for a loop");
    GYRE_CHECK(loop->sharesSocketsWith(*baseLoop_),
               "a loop given by setLoops has another engine than the base loop: make both from the "
               "same ProactorOptions");
  }
}

void EventLoopThreadPool::startThreads(const ThreadInitCallback& init) {
  GYRE_CHECK(threadNum_ == 0 || baseLoop_->canBeMadeAlike(),
             "the base loop was given an engine that cannot be made again for other threads: use "
             "setThreadNum(0), or give loops of the same kind by setLoops");
  try {
    for (int i = 0; i < threadNum_; ++i) startThread(i, init);
  } catch (...) {
    loops_.clear();
    threads_.clear();
    throw;
  }
}

void EventLoopThreadPool::startThread(int index, const ThreadInitCallback& init) {
  LoopThreadOptions options;
  options.proactor = baseLoop_->options();
  options.name = name_ + "-" + std::to_string(index);
  if (!cpus_.empty()) options.cpu = cpus_[static_cast<std::size_t>(index) % cpus_.size()];
  threads_.push_back(std::make_unique<EventLoopThread>(std::move(options), init));
  loops_.push_back(threads_.back()->startLoop());
}

EventLoop* EventLoopThreadPool::getNextLoop() {
  baseLoop_->assertInLoopThread();
  GYRE_CHECK(isStarted_, "the pool has not been started");
  EventLoop* loop = loops_[next_];
  if (++next_ == loops_.size()) next_ = 0;
  return loop;
}

const std::vector<EventLoop*>& EventLoopThreadPool::getAllLoops() const {
  GYRE_CHECK(isStarted_, "the pool has not been started");
  return loops_;
}

}  // namespace gyre
