// What a user writes with coroutines: two tasks at the same time, on one loop.
#include <gyre/co.h>

#include <chrono>
#include <cstdio>

namespace co = gyre::co;

co::Task<int> slowly(int value) {
  co_await co::sleep(std::chrono::milliseconds(1));
  co_return value;
}

co::Task<> play(gyre::EventLoop& loop, int& sum) {
  const auto [first, second] = co_await co::whenAll(slowly(40), slowly(2));
  sum = first + second;
  loop.quit();
}

int main() {
  gyre::EventLoop loop;
  int sum = 0;
  const auto playing = co::spawn(&loop, play(loop, sum));
  loop.loop();
  if (sum != 42) {
    std::fprintf(stderr, "40 + 2 is %d\n", sum);
    return 1;
  }
  std::puts("ok");
  return 0;
}
