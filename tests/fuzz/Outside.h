// Outside: a thread that is no loop, for what users do from threads of their own.
//
// Thread  post() on any.
// Owns    The thread, and the calls that wait.
// Ends    With stop() or its destructor, which make the calls that wait, then join.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace gyre {

class Outside {
 public:
  Outside() : thread_([this] { run(); }) {}
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;
  ~Outside() { stop(); }

  // Makes the calls that wait, and none that come later: they are dropped.
  void stop() {
    if (!thread_.joinable()) return;
    post({});
    thread_.join();
  }

  void post(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
    ready_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      ready_.wait(lock, [this] { return !calls_.empty(); });
      const std::function<void()> call = std::move(calls_.front());
      calls_.pop_front();
      if (!call) return;
      lock.unlock();
      call();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> calls_;
  std::thread thread_;
};

}  // namespace gyre
