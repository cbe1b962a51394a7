// EventLoopThread: a thread that runs one EventLoop.
//
// Thread  startLoop() and the destructor on one thread, not the loop's (CHECKed).
// Owns    The thread; the loop lives on it.
// Ends    Its destructor quits the loop and joins the thread.
#pragma once

#include <functional>
#include <future>
#include <string>
#include <thread>

#include "gyre/base/Export.h"
#include "gyre/loop/EventLoop.h"

namespace gyre {

// Runs once in each loop's thread before it loops.
using ThreadInitCallback = std::function<void(EventLoop*)>;

struct LoopThreadOptions {
  ProactorOptions proactor = defaultProactorOptions();
  std::string name = "gyre";  // as ps -L shows it: 15 characters at most
  int cpu = -1;               // pins the thread to a CPU; -1: does not
};

class GYRE_API EventLoopThread {
 public:
  explicit EventLoopThread(LoopThreadOptions options, ThreadInitCallback init = {});
  EventLoopThread(const EventLoopThread&) = delete;
  EventLoopThread& operator=(const EventLoopThread&) = delete;
  ~EventLoopThread();

  // Starts the thread and returns when its loop is ready. Throws what making the loop threw, or
  // std::system_error when the thread cannot start or be pinned. REQUIRES: called once.
  EventLoop* startLoop();

 private:
  void run(std::promise<RefPtr<Mailbox>> ready) noexcept;
  void prepareThread() const;

  const LoopThreadOptions options_;
  const ThreadInitCallback init_;
  std::thread thread_;
  RefPtr<Mailbox> mailbox_;  // how to reach the loop, also when it has ended already
  RefPtr<LoopCall> quit_;    // set before the loop is ready
};

}  // namespace gyre
