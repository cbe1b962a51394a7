#include "gyre/loop/EventLoopThread.h"

#include <pthread.h>
#include <sched.h>

#include <system_error>
#include <utility>

namespace gyre {

EventLoopThread::EventLoopThread(LoopThreadOptions options, ThreadInitCallback init)
    : options_(std::move(options)), init_(std::move(init)) {}

EventLoopThread::~EventLoopThread() {
  if (!thread_.joinable()) return;
  GYRE_CHECK(thread_.get_id() != std::this_thread::get_id(),
             "an EventLoopThread was destroyed on its loop's own thread, which it waits for: let "
             "another thread do it");
  if (mailbox_) mailbox_->post(*quit_);
  thread_.join();
}

EventLoop* EventLoopThread::startLoop() {
  GYRE_CHECK(!thread_.joinable(), "an EventLoopThread was started twice");
  std::promise<RefPtr<Mailbox>> promise;
  std::future<RefPtr<Mailbox>> ready = promise.get_future();
  try {
    thread_ = std::thread([this, moved = std::move(promise)]() mutable { run(std::move(moved)); });
  } catch (const std::system_error& error) {
    throw std::system_error(error.code(),
                            "cannot start a loop's thread (use fewer threads, or raise "
                            "RLIMIT_NPROC: ulimit -u, or the cgroup's pids.max)");
  }
  try {
    mailbox_ = ready.get();
    return mailbox_->loop();
  } catch (...) {
    thread_.join();
    throw;
  }
}

void EventLoopThread::run(std::promise<RefPtr<Mailbox>> ready) noexcept {
  try {
    prepareThread();
    EventLoop loop(options_.proactor);
    if (init_) init_(&loop);
    // It runs on the loop's thread, so the loop it quits is alive.
    quit_ = makeRef<LoopCall>([&loop] { loop.quit(); });
    ready.set_value(loop.mailbox());
    loop.loop();
  } catch (...) {
    ready.set_exception(std::current_exception());
  }
}

void EventLoopThread::prepareThread() const {
  ::pthread_setname_np(::pthread_self(), options_.name.substr(0, 15).c_str());
  if (options_.cpu < 0) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<std::size_t>(options_.cpu), &cpus);
  const int error = ::pthread_setaffinity_np(::pthread_self(), sizeof cpus, &cpus);
  if (error != 0) {
    throw std::system_error(error, std::generic_category(),
                            "cannot pin a loop to CPU " + std::to_string(options_.cpu) +
                                " (choose one that taskset -p shows for this process)");
  }
}

}  // namespace gyre
