// Wake: a suspended coroutine, and its place among those that are to be resumed.
#pragma once

#include <coroutine>

#include "gyre/base/Export.h"
#include "gyre/co/Link.h"

namespace gyre::co {

class Wake : public Link {
 public:
  std::coroutine_handle<> coroutine() const noexcept { return coroutine_; }

 protected:
  Wake() = default;
  ~Wake() = default;
  void setCoroutine(std::coroutine_handle<> coroutine) noexcept { coroutine_ = coroutine; }

 private:
  std::coroutine_handle<> coroutine_;
};

}  // namespace gyre::co
