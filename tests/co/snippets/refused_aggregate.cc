// refused: give its type a constructor
#include <string>

#include "gyre/co.h"

struct Order {
  std::string name;
  int count = 0;
};

gyre::co::Task<> put(gyre::co::Channel<Order>& orders) { co_await orders.send(Order{"tea", 2}); }
