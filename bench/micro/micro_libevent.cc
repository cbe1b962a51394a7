// micro_libevent: what timers cost in libevent, as in bench/micro.
//
// Functors are not here: libevent has no queue of them, and takes event_active() from other threads
// only with a lock on every call of its (libevent_pthreads), which its servers do without.
#include <event2/event.h>

#include <vector>

#include "Measured.h"

namespace {

using micro::Clock;
using micro::kTimers;
using micro::nanosSince;

std::size_t ran = 0;

timeval timeFrom(std::chrono::nanoseconds delay) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(delay).count();
  return {micros / 1'000'000, micros % 1'000'000};
}

micro::TimerCosts timers() {
  event_base* base = event_base_new();
  std::vector<event*> all(kTimers);
  micro::Delays delays;
  micro::TimerCosts costs;
  auto start = Clock::now();
  for (event*& timer : all) {
    timer = evtimer_new(
        base, [](evutil_socket_t, short, void*) { ++ran; }, nullptr);
    const timeval delay = timeFrom(delays.next());
    evtimer_add(timer, &delay);
  }
  costs.add = nanosSince(start) / kTimers;
  start = Clock::now();
  for (event* timer : all) {
    const timeval delay = timeFrom(delays.next());
    evtimer_add(timer, &delay);
  }
  costs.move = nanosSince(start) / kTimers;
  start = Clock::now();
  for (event* timer : all) evtimer_del(timer);
  costs.cancel = nanosSince(start) / kTimers;

  const timeval now{};
  for (event* timer : all) evtimer_add(timer, &now);
  ran = 0;
  start = Clock::now();
  while (ran < kTimers) event_base_loop(base, EVLOOP_NONBLOCK);
  costs.run = nanosSince(start) / kTimers;
  for (event* timer : all) event_free(timer);
  event_base_free(base);
  return costs;
}

}  // namespace

int main() {
  micro::Report report;
  report.add(micro::bestTimers(timers));
  report.print("libevent");
  return 0;
}
