// refused: in a line of its own
#include <string>

#include "gyre/co.h"

gyre::co::Task<int> wait(std::string text) {
  co_return co_await gyre::co::fromCallback<int>(
      [text](gyre::co::Resume<int> resume) { resume(static_cast<int>(text.size())); });
}
