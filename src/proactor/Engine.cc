// The choice of an engine: what options and environment ask for, and what this kernel permits.
#include <cstdlib>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/proactor/EngineReport.h"
#include "gyre/proactor/Proactor.h"
#include "proactor/SocketErrors.h"
#include "proactor/epoll/EpollProactor.h"
#include "proactor/uring/UringFeatures.h"
#include "proactor/uring/UringProactor.h"

namespace gyre {

std::string_view engineName(Engine engine) noexcept {
  switch (engine) {
    case Engine::Auto: return "auto";
    case Engine::Uring: return "uring";
    case Engine::Epoll: return "epoll";
  }
  return "unknown";
}

ProactorOptions defaultProactorOptions() {
  ProactorOptions options;
  const char* wanted = std::getenv("GYRE_ENGINE");
  if (wanted == nullptr || *wanted == '\0') return options;
  for (const Engine engine : {Engine::Auto, Engine::Uring, Engine::Epoll}) {
    if (engineName(engine) == wanted) {
      options.engine = engine;
      return options;
    }
  }
  throwSetupError(EINVAL, std::string("GYRE_ENGINE=") + wanted + " is no engine",
                  "auto, uring or epoll");
}

EngineChoice chooseEngine() {
  const UringSupport support = uringSupportPatiently();
  if (support.error == 0) return {Engine::Uring, "io_uring has all that is needed", ""};
  const bool isPassing =
      support.error == ENOMEM || support.error == EMFILE || support.error == ENFILE;
  // A shortage is no reason to run another engine for the whole life of the process.
  if (isPassing) {
    throwSetupError(support.error, "io_uring cannot be used now: " + support.cause, support.cure);
  }
  return {Engine::Epoll, support.cause, support.cure};
}

namespace {

// Decided, and said, once per process.
Engine decideEngine() {
  static std::mutex mutex;
  static std::optional<Engine> decided;
  const std::lock_guard lock(mutex);
  if (decided) return *decided;
  const EngineChoice choice = chooseEngine();
  if (choice.engine == Engine::Uring) {
    logDebug("engine uring: {}", choice.reason);
  } else {
    logWarn("engine epoll, because {}; to have io_uring: {}", choice.reason, choice.cure);
  }
  decided = choice.engine;
  return *decided;
}

}  // namespace

namespace {

std::unique_ptr<Proactor> makeEngine(const ProactorOptions& options) {
  const Engine engine = options.engine == Engine::Auto ? decideEngine() : options.engine;
  if (engine == Engine::Epoll) return makeEpollProactor(options);
  if (options.engine == Engine::Uring) uringSupportPatiently();
  return makeUringProactor(options);
}

}  // namespace

std::unique_ptr<Proactor> makeProactor(const ProactorOptions& options) {
  checkLogEnvironment();
  auto recipe = std::make_unique<const ProactorOptions>(options);
  auto engine = makeEngine(options);
  engine->recipe_ = std::move(recipe);
  return engine;
}

EngineReport inspectEpoll(const ProactorOptions& options) {
  EngineReport report;
  report.engine = Engine::Epoll;
  try {
    makeEpollProactor(options);
    report.usable = true;
  } catch (const std::system_error& error) {
    report.error = error.code().value();
    report.cause = error.what();
    report.cure = "epoll needs three descriptors and a few kilobytes: see the limits below";
  }
  return report;
}

}  // namespace gyre
