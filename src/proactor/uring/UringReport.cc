// What `gyre doctor` says of the io_uring engine.
#include <system_error>

#include "gyre/proactor/EngineReport.h"
#include "proactor/uring/UringFeatures.h"
#include "proactor/uring/UringProactor.h"

namespace gyre {

EngineReport inspectUring(const ProactorOptions& options) {
  EngineReport report;
  report.engine = Engine::Uring;
  const UringSupport support = uringSupportPatiently();
  report.error = support.error;
  report.cause = support.cause;
  report.cure = support.cure;
  if (support.error != 0) return report;
  report.features = describeFeatures(support.available, options);
  try {
    report.grant = makeUringProactor(options)->grant();
    report.usable = true;
  } catch (const std::system_error& error) {
    report.error = error.code().value();
    const Refusal refusal = explainRefusal(report.error);
    // The kernel has shown that it can: it is what the options ask for.
    const bool isOptions = report.error == EINVAL;
    report.cause = isOptions ? error.what() : refusal.cause;
    report.cure = isOptions ? "ask for something else" : refusal.cure;
  }
  return report;
}

}  // namespace gyre
