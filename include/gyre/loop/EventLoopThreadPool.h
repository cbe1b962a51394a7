// EventLoopThreadPool: N loops on N threads, dealt out in turn.
//
// Thread  The base loop's.
// Owns    The threads and their loops.
// Ends    Its destructor quits and joins all.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gyre/base/Export.h"
#include "gyre/loop/EventLoopThread.h"

namespace gyre {

class GYRE_API EventLoopThreadPool {
 public:
  static constexpr int kThreadsMax = 1024;

  EventLoopThreadPool(EventLoop* baseLoop, std::string name);
  EventLoopThreadPool(const EventLoopThreadPool&) = delete;
  EventLoopThreadPool& operator=(const EventLoopThreadPool&) = delete;
  ~EventLoopThreadPool();

  // Before start (CHECKed)

  // 0: everything on the base loop. Default: the CPUs this process may use, by its affinity and by
  // the CPU quota of its control groups.
  // Throws std::system_error (EINVAL) outside 0..kThreadsMax.
  void setThreadNum(int count);
  // Pins the threads to these CPUs, in turn. Empty: no pinning.
  void setCpus(std::vector<int> cpus);
  // Loops that the user runs himself, instead of threads. They outlive the pool.
  void setLoops(std::vector<EventLoop*> loops);
  // Returns when all loops are ready. With no threads, `init` runs with the base loop, here. Throws
  // what starting a thread threw; then none is left running. The threads' loops have engines like
  // the base loop's. REQUIRES: the base loop's engine can be made again (EventLoop.h), or there are
  // no threads; the user's loops have engines that share sockets with it.
  void start(const ThreadInitCallback& init = {});

  // After start

  // Round-robin; the base loop when there are no others.
  EventLoop* getNextLoop();
  // All loops that getNextLoop can return.
  const std::vector<EventLoop*>& getAllLoops() const;
  bool isStarted() const noexcept { return isStarted_; }
  int threadNum() const noexcept { return threadNum_; }
  const std::string& name() const noexcept { return name_; }

 private:
  void startThreads(const ThreadInitCallback& init);
  void checkLoops() const;
  void startThread(int index, const ThreadInitCallback& init);

  EventLoop* const baseLoop_;
  const std::string name_;
  int threadNum_;
  std::vector<int> cpus_;
  std::vector<std::unique_ptr<EventLoopThread>> threads_;
  std::vector<EventLoop*> loops_;
  std::size_t next_ = 0;
  bool isStarted_ = false;
};

}  // namespace gyre
