#include "support/TestOptions.h"

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "gyre/proactor/EngineReport.h"
#include "proactor/uring/RingFaults.h"

namespace gyre {
namespace {

bool beginFaults() {
  const char* seed = std::getenv("GYRE_TEST_FAULTS");
  if (seed == nullptr) return false;
  chooseEngine();  // what looks at the kernel is no part of the test
  RingFaultOptions faults;
  faults.seed = std::strtoull(seed, nullptr, 10);
  setRingFaults(faults);
  return true;
}

}  // namespace

bool hasRingFaults() {
  static const bool result = beginFaults();
  return result;
}

ProactorOptions usualProactorOptions() {
  hasRingFaults();
  ProactorOptions options = defaultProactorOptions();
  // Never Auto: a run on another engine than the one it is about would prove nothing.
  if (options.engine == Engine::Auto) options.engine = Engine::Uring;
  return options;
}

ProactorOptions tinyProactorOptions() {
  ProactorOptions options = usualProactorOptions();
  options.submissionEntries = 8;
  options.completionEntries = 64;
  options.receiveBuffers = 2;
  options.receiveBuffersMax = 2;
  return options;
}

ProactorOptions testProactorOptions() {
  const char* rings = std::getenv("GYRE_TEST_RINGS");
  const bool isTiny = rings != nullptr && std::string_view(rings) == "tiny";
  return isTiny ? tinyProactorOptions() : usualProactorOptions();
}

std::string engineRefusal() {
  const ProactorOptions options = testProactorOptions();
  if (options.engine != Engine::Uring) return {};
  const EngineReport report = inspectUring(options);
  const bool isRefused = report.error == EPERM || report.error == ENOSYS || report.error == EINVAL;
  return report.usable || !isRefused ? std::string() : report.cause;
}

}  // namespace gyre
