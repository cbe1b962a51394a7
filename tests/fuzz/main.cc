// gyre_fuzz: random servers against random peers, one seed after the other, in child processes, so
// that a crash, a failed CHECK or a hang is a finding like any other.
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "fuzz/DrawScenario.h"
#include "fuzz/FuzzOptions.h"
#include "fuzz/PlayScenario.h"
#include "gyre/base/Log.h"
#include "gyre/proactor/EngineReport.h"

namespace gyre {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kHangLimit{240};  // of one scenario

// What a child says to its parent, in shared memory.
struct Report {
  std::atomic<std::uint64_t> seed{0};
  std::atomic<std::uint64_t> played{0};
  FuzzCoverage coverage;
};

struct Child {
  pid_t pid = -1;
  Report* report = nullptr;
  std::uint64_t nextSeed = 0;
  std::uint64_t seedSeen = 0;
  Clock::time_point seedSince = Clock::now();
};

FuzzEngine engineOf(const FuzzOptions& options, std::uint64_t seed) {
  return options.engines[seed % options.engines.size()];
}

Scenario scenarioOf(const FuzzOptions& options, std::uint64_t seed) {
  Scenario scenario = drawScenario(seed, engineOf(options, seed));
  if (options.threads) scenario.threads = *options.threads;
  if (options.peersMax && scenario.peers.size() > *options.peersMax) {
    scenario.peers.resize(*options.peersMax);
  }
  return scenario;
}

void sayFinding(const FuzzOptions& options, std::uint64_t seed, const std::string& what) {
  const Scenario scenario = scenarioOf(options, seed);
  const std::string engine(fuzzEngineName(scenario.engine));
  std::printf("\nFINDING %s seed %llu: %s\n  scenario: %s\n", engine.c_str(),
              static_cast<unsigned long long>(seed), what.c_str(), scenario.describe().c_str());
  std::printf("  again: gyre_fuzz --engine %s --seed %llu --runs 1 --verbose\n", engine.c_str(),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
}

bool isInTime(const FuzzOptions& options, Clock::time_point begin, std::uint64_t seed) {
  if (options.runs != 0 && seed >= options.firstSeed + options.runs) return false;
  return options.runs != 0 || Clock::now() - begin < options.seconds;
}

// The child: plays until the time is over, leaves at the first finding.
[[noreturn]] void playSeeds(const FuzzOptions& options, Report& report, std::uint64_t seed,
                            Clock::time_point begin) {
  for (; isInTime(options, begin, seed); seed += static_cast<std::uint64_t>(options.jobs)) {
    report.seed = seed;
    const Scenario scenario = scenarioOf(options, seed);
    if (options.isVerbose) {
      std::printf("seed %llu on %s: %s\n", static_cast<unsigned long long>(seed),
                  std::string(fuzzEngineName(scenario.engine)).c_str(),
                  scenario.describe().c_str());
      std::fflush(stdout);
    }
    Verdict verdict;
    playScenario(scenario, verdict, report.coverage);
    ++report.played;
    if (!verdict.hasFailed()) continue;
    sayFinding(options, seed, verdict.first());
    std::_Exit(1);
  }
  std::_Exit(0);
}

void start(const FuzzOptions& options, Child& child, Clock::time_point begin) {
  child.seedSince = Clock::now();
  child.pid = ::fork();
  if (child.pid == 0) playSeeds(options, *child.report, child.nextSeed, begin);
}

// True when the child has ended for good; counts a finding.
bool look(const FuzzOptions& options, Child& child, Clock::time_point begin, int& findings) {
  const std::uint64_t seed = child.report->seed;
  if (seed != child.seedSeen) {
    child.seedSeen = seed;
    child.seedSince = Clock::now();
  }
  int status = 0;
  const bool hangs = Clock::now() - child.seedSince > kHangLimit;
  if (hangs) ::kill(child.pid, SIGKILL);
  if (::waitpid(child.pid, &status, hangs ? 0 : WNOHANG) == 0) return false;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  ++findings;
  if (hangs) {
    sayFinding(options, seed, "the scenario does not come to its end");
  } else if (WIFSIGNALED(status)) {
    sayFinding(options, seed, "the process ended by signal " + std::to_string(WTERMSIG(status)));
  } else if (WEXITSTATUS(status) != 1) {
    sayFinding(options, seed, "the process ended with " + std::to_string(WEXITSTATUS(status)));
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin);
  std::printf("  found after %lld s\n", static_cast<long long>(seconds.count()));
  std::fflush(stdout);
  child.nextSeed = seed + static_cast<std::uint64_t>(options.jobs);
  if (!options.isKeepGoing || !isInTime(options, begin, child.nextSeed)) return true;
  start(options, child, begin);
  return false;
}

Report& makeReport() {
  void* memory =
      ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return *new (memory) Report;
}

void raiseDescriptorLimit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max > 16'384) limit.rlim_cur = 16'384;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Why an engine cannot be fuzzed here; empty when it can.
std::string refusal(FuzzEngine engine) {
  if (engine == FuzzEngine::Epoll || engine == FuzzEngine::Sim) return {};
  ProactorOptions wanted;
  wanted.engine = Engine::Uring;
  const EngineReport report = inspectUring(wanted);
  return report.usable ? std::string() : "io_uring is not available: " + report.cause;
}

int run(const FuzzOptions& options) {
  for (const FuzzEngine engine : options.engines) {
    const std::string reason = refusal(engine);
    if (reason.empty()) continue;
    std::printf("skipped: %s\n", reason.c_str());
    return 77;
  }
  std::printf("gyre_fuzz: first seed %llu\n", static_cast<unsigned long long>(options.firstSeed));
  std::fflush(stdout);
  const Clock::time_point begin = Clock::now();
  std::vector<Child> children(static_cast<std::size_t>(options.jobs));
  int findings = 0;
  for (std::size_t i = 0; i < children.size(); ++i) {
    children[i].report = &makeReport();
    children[i].nextSeed = options.firstSeed + i;
    start(options, children[i], begin);
  }
  std::vector<FuzzCoverage> coverage;
  while (!children.empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::erase_if(children, [&](Child& child) {
      if (!look(options, child, begin, findings)) return false;
      coverage.push_back(child.report->coverage);
      return true;
    });
  }
  sayCoverage(coverage);
  std::printf("%d findings\n", findings);
  return findings == 0 ? 0 : 1;
}

}  // namespace
}  // namespace gyre

int main(int argc, char** argv) {
  gyre::raiseDescriptorLimit();
  gyre::setLogLevel(gyre::LogLevel::Off);
  ::signal(SIGPIPE, SIG_IGN);
  return gyre::run(gyre::parseFuzzOptions(argc, argv));
}
