#include "support/TestOptions.h"

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "gyre/proactor/EngineReport.h"

namespace gyre {

ProactorOptions usualProactorOptions() {
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
