// micro_asio: what functors from other threads and timers cost in Boost.Asio, as in bench/micro.
#include <boost/asio.hpp>
#include <deque>
#include <thread>
#include <vector>

#include "Measured.h"

namespace {

namespace asio = boost::asio;
using micro::Clock;
using micro::kTimers;
using micro::nanosSince;

double functors(unsigned producers) {
  asio::io_context context(1);
  const auto work = asio::make_work_guard(context);
  const std::uint64_t each = micro::kFunctors / producers;
  const std::uint64_t all = each * producers;
  std::uint64_t ran = 0;
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < producers; ++i) {
    threads.emplace_back([&context, &ran, each, all] {
      for (std::uint64_t n = 0; n < each; ++n) {
        asio::post(context, [&context, &ran, all] {
          if (++ran == all) context.stop();
        });
      }
    });
  }
  context.run();
  const double nanos = nanosSince(start);
  for (std::thread& producer : threads) producer.join();
  return nanos / static_cast<double>(all);
}

micro::TimerCosts timers() {
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  std::deque<asio::steady_timer> all;
  std::size_t ran = 0;
  const auto note = [&ran](const boost::system::error_code& error) { ran += error ? 0 : 1; };
  micro::Delays delays;
  micro::TimerCosts costs;
  auto start = Clock::now();
  for (std::size_t i = 0; i < kTimers; ++i) {
    all.emplace_back(context, delays.next());
    all.back().async_wait(note);
  }
  costs.add = nanosSince(start) / kTimers;
  start = Clock::now();
  for (asio::steady_timer& timer : all) {
    timer.expires_after(delays.next());
    timer.async_wait(note);
  }
  context.poll();  // The waits that were put off end.
  costs.move = nanosSince(start) / kTimers;
  start = Clock::now();
  for (asio::steady_timer& timer : all) timer.cancel();
  context.poll();
  costs.cancel = nanosSince(start) / kTimers;

  context.restart();
  for (asio::steady_timer& timer : all) {
    timer.expires_after(std::chrono::nanoseconds(0));
    timer.async_wait(note);
  }
  start = Clock::now();
  while (ran < kTimers) context.poll();
  costs.run = nanosSince(start) / kTimers;
  return costs;
}

}  // namespace

int main() {
  micro::Report report;
  report.add(micro::kOneProducer, micro::bestOf([] { return functors(1); }));
  report.add(micro::kTwoProducers, micro::bestOf([] { return functors(2); }));
  report.add(micro::bestTimers(timers));
  report.print("asio");
  return 0;
}
