// refused: in a line of its own
#include <string>

#include "gyre/co.h"

gyre::co::Task<> wait(std::string text) {
  co_await gyre::co::scoped([text](gyre::co::Scope&) -> gyre::co::Task<> { co_return; });
}
