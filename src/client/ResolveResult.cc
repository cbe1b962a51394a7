#include "gyre/client/ResolveResult.h"

namespace gyre {
namespace {

class ResolveCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "gyre.resolve"; }
  std::string message(int value) const override {
    switch (static_cast<ResolveError>(value)) {
      case ResolveError::NotFound: return "there is no such host, or it has no address";
      case ResolveError::InvalidName: return "that cannot be the name of a host";
      case ResolveError::TimedOut: return "no name server answered in time";
      case ResolveError::Unreachable: return "no name server can be reached";
      case ResolveError::ServerFailed: return "the name server could not say";
      case ResolveError::BadAnswer: return "the answer of the name server makes no sense";
      case ResolveError::OutOfMemory: return "out of memory";
    }
    return "unknown";
  }
};

}  // namespace

const std::error_category& resolveCategory() noexcept {
  static const ResolveCategory category;
  return category;
}

std::error_code make_error_code(ResolveError error) noexcept {
  return {static_cast<int>(error), resolveCategory()};
}

}  // namespace gyre
