// accepted: what the refused ones are to be written as; and the stack stays flat in every build
#include <cstdio>
#include <string>

#include "gyre/co.h"

namespace co = gyre::co;

struct Order {
  std::string name;
  int count = 0;
};

co::Task<int> one() { co_return 1; }

co::Task<> play(gyre::EventLoop& loop, int& sum) {
  const std::string text(100, 'x');
  const auto start = [text](co::Resume<int> resume) { resume(static_cast<int>(text.size())); };
  sum += co_await co::fromCallback<int>(start);
  co::Channel<Order> orders(1);
  Order order{text, 2};
  co_await orders.send(order);
  const auto got = co_await orders.receive();
  sum += got->count;
  const auto body = [&](co::Scope& scope) -> co::Task<> {
    scope.spawn(co::scoped([](co::Scope&) -> co::Task<> { co_return; }));
    co_return;
  };
  co_await co::scoped(body);
  for (int i = 0; i < 2'000'000; ++i) sum += co_await one();
  loop.quit();
}

int main() {
  gyre::EventLoop loop;
  int sum = 0;
  const auto job = co::spawn(&loop, play(loop, sum));
  loop.loop();
  std::printf("%d\n", sum);
}
