// micro_libuv: what functors from other threads and timers cost in libuv, as in bench/micro.
//
// libuv has no queue of functors: uv_async_send() only wakes, so this is the queue that its users
// write, a vector under a mutex. It has no timing wheel either: its timers are a heap.
#include <uv.h>

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "Measured.h"

namespace {

using micro::Clock;
using micro::kTimers;
using micro::nanosSince;

struct Mailbox {
  uv_async_t async{};
  std::mutex mutex;
  std::vector<std::function<void()>> waiting;
  std::vector<std::function<void()>> running;

  void queue(std::function<void()> functor) {
    bool wasEmpty = false;
    {
      const std::lock_guard lock(mutex);
      wasEmpty = waiting.empty();
      waiting.push_back(std::move(functor));
    }
    if (wasEmpty) uv_async_send(&async);
  }

  void run() {
    {
      const std::lock_guard lock(mutex);
      running.swap(waiting);
    }
    for (const auto& functor : running) functor();
    running.clear();
  }
};

double functors(unsigned producers) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  Mailbox mailbox;
  mailbox.async.data = &mailbox;
  uv_async_init(&loop, &mailbox.async,
                [](uv_async_t* async) { static_cast<Mailbox*>(async->data)->run(); });
  const std::uint64_t each = micro::kFunctors / producers;
  const std::uint64_t all = each * producers;
  std::uint64_t ran = 0;
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < producers; ++i) {
    threads.emplace_back([&mailbox, &ran, &loop, each, all] {
      for (std::uint64_t n = 0; n < each; ++n) {
        mailbox.queue([&ran, &loop, all] {
          if (++ran == all) uv_stop(&loop);
        });
      }
    });
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  const double nanos = nanosSince(start);
  for (std::thread& producer : threads) producer.join();
  uv_close(reinterpret_cast<uv_handle_t*>(&mailbox.async), nullptr);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return nanos / static_cast<double>(all);
}

std::size_t ran = 0;

std::uint64_t millis(std::chrono::nanoseconds delay) {
  return static_cast<std::uint64_t>(delay / std::chrono::milliseconds(1));
}

micro::TimerCosts timers() {
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<uv_timer_t> all(kTimers);
  const auto note = [](uv_timer_t*) { ++ran; };
  micro::Delays delays;
  micro::TimerCosts costs;
  auto start = Clock::now();
  for (uv_timer_t& timer : all) {
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, note, millis(delays.next()), 0);
  }
  costs.add = nanosSince(start) / kTimers;
  start = Clock::now();
  for (uv_timer_t& timer : all) uv_timer_start(&timer, note, millis(delays.next()), 0);
  costs.move = nanosSince(start) / kTimers;
  start = Clock::now();
  for (uv_timer_t& timer : all) uv_timer_stop(&timer);
  costs.cancel = nanosSince(start) / kTimers;

  for (uv_timer_t& timer : all) uv_timer_start(&timer, note, 0, 0);
  ran = 0;
  start = Clock::now();
  while (ran < kTimers) uv_run(&loop, UV_RUN_NOWAIT);
  costs.run = nanosSince(start) / kTimers;
  for (uv_timer_t& timer : all) uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return costs;
}

}  // namespace

int main() {
  micro::Report report;
  report.add(micro::kOneProducer, micro::bestOf([] { return functors(1); }));
  report.add(micro::kTwoProducers, micro::bestOf([] { return functors(2); }));
  report.add(micro::bestTimers(timers));
  report.print("libuv");
  return 0;
}
