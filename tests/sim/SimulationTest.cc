// Seeds of a whole server on a simulated network.
//
//   GYRE_SIM_SEEDS       how many seeds all tests of a suite play together
//   GYRE_SIM_FIRST_SEED  the first of them
//   GYRE_SIM_SEED        this one only
//   GYRE_SIM_TRACE=1     and write its history to stderr
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "gyre/base/Log.h"
#include "sim/SimulationRun.h"
#include "support/Sanitizers.h"

#ifdef GYRE_TEST_SANITIZED
#include <sanitizer/common_interface_defs.h>

// So that its end, too, says how to replay: it has no other hook of its own.
extern "C" __attribute__((visibility("default"))) const char* __ubsan_default_options() {
  return "abort_on_error=1";
}
#endif

namespace gyre {
namespace {

#if defined(GYRE_TEST_SANITIZED) || !defined(NDEBUG)
constexpr std::uint64_t kSeeds = 500;
constexpr std::uint64_t kLongSeeds = 20'000;
#else
constexpr std::uint64_t kSeeds = 10'000;
constexpr std::uint64_t kLongSeeds = 300'000;
#endif
constexpr int kShards = 10;

unsigned long long asLong(std::uint64_t value) { return value; }

std::optional<std::uint64_t> numberOf(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoull(text, nullptr, 0);
}

// How to play the seed at hand again; said also when it ends the process.
std::array<char, 400> replayCommand;
std::size_t replaySize = 0;

void sayReplay() {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, replayCommand.data(), replaySize);
}

void handleSignal(int signal) {
  sayReplay();
  ::raise(signal);  // the handler was reset when it was called
}

class SimulationTest : public testing::TestWithParam<int> {
 protected:
  SimulationTest() {
    setLogLevel(LogLevel::Off);
    setHandler(&handleSignal);
    program_ = std::filesystem::read_symlink("/proc/self/exe").string();
  }

  ~SimulationTest() override { setHandler(SIG_DFL); }

  // A sanitizer has its own way to end the process, and its own handler of SIGSEGV.
  static void setHandler(void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGABRT, &action, nullptr);
#ifdef GYRE_TEST_SANITIZED
    __sanitizer_set_death_callback(handler == SIG_DFL ? nullptr : &sayReplay);
#else
    ::sigaction(SIGSEGV, &action, nullptr);
#endif
  }

  void playOne(std::uint64_t seed, SimulationCoverage& coverage) {
    const int size = std::snprintf(replayCommand.data(), replayCommand.size(),
                                   "\nreplay: GYRE_SIM_SEED=%llu GYRE_SIM_TRACE=1 %s "
                                   "--gtest_filter='Seeds/SimulationTest.*/0'\n",
                                   static_cast<unsigned long long>(seed), program_.c_str());
    replaySize = std::min(static_cast<std::size_t>(size), replayCommand.size() - 1);
    SCOPED_TRACE(std::string(replayCommand.data(), replaySize));
    SimulationRun run(seed, coverage);
    if (numberOf("GYRE_SIM_TRACE").value_or(0) != 0) run.traceToStderr();
    run.play();
  }

  SimulationCoverage playAll(std::uint64_t total) {
    SimulationCoverage coverage;
    if (const auto seed = numberOf("GYRE_SIM_SEED")) {
      playOne(*seed, coverage);
      return coverage;
    }
    const std::uint64_t count = numberOf("GYRE_SIM_SEEDS").value_or(total) / kShards;
    const std::uint64_t first = numberOf("GYRE_SIM_FIRST_SEED").value_or(1);
    const std::uint64_t begin = first + static_cast<std::uint64_t>(GetParam()) * count;
    for (std::uint64_t seed = begin; seed < begin + count && !HasFailure(); ++seed) {
      playOne(seed, coverage);
    }
    return coverage;
  }

  static void expectCovered(const SimulationCoverage& coverage);

 private:
  std::string program_;
};

void say(const SimulationCoverage& coverage) {
  std::printf("%llu seeds: %llu connections, %llu completions, %llu iterations, %llu steps\n",
              asLong(coverage.seeds), asLong(coverage.connections), asLong(coverage.completions),
              asLong(coverage.iterations), asLong(coverage.steps));
  for (std::size_t i = 0; i < kSimFaults; ++i) {
    const std::string_view name = simFaultName(static_cast<SimFault>(i));
    std::printf("  %-22.*s %llu\n", static_cast<int>(name.size()), name.data(),
                asLong(coverage.faults[i]));
  }
  for (std::size_t i = 0; i < coverage.reasons.size(); ++i) {
    std::printf("  close reason %zu: %llu\n", i, asLong(coverage.reasons[i]));
  }
  for (std::size_t i = 0; i < coverage.states.size(); ++i) {
    std::printf("  state %zu: %llu\n", i, asLong(coverage.states[i]));
  }
  std::printf("  write completes %llu, high water %llu, half-closes %llu\n",
              asLong(coverage.writeCompletes), asLong(coverage.highWaters),
              asLong(coverage.halfCloses));
  std::printf("  drained %llu, refused %llu, paused for memory %llu\n", asLong(coverage.drains),
              asLong(coverage.refused), asLong(coverage.pausedForMemory));
  std::printf("  held back: inputs %llu, outputs %llu\n", asLong(coverage.inputsHeldBack),
              asLong(coverage.outputsHeldBack));
  std::printf("  at most %llu completions in one virtual second\n",
              asLong(coverage.completionsPerSecondMax));
}

// At 10 000 seeds in ten shards that is every kind of fault five hundred times.
void SimulationTest::expectCovered(const SimulationCoverage& coverage) {
  if (coverage.seeds < 1000 || HasFailure()) return;
  say(coverage);
  for (std::size_t i = 0; i < kSimFaults; ++i) {
    EXPECT_GE(coverage.faults[i], coverage.seeds / 20)
        << simFaultName(static_cast<SimFault>(i)) << " is too rare to be tested";
  }
  for (std::size_t i = 0; i < coverage.states.size(); ++i) {
    EXPECT_GT(coverage.states[i], 0u) << "state " << i << " of the connection was not reached";
  }
  for (std::size_t i = 1; i < coverage.reasons.size(); ++i) {
    const bool isPossible = i != static_cast<std::size_t>(CloseReason::OutOfMemory);
    EXPECT_EQ(coverage.reasons[i] > 0, isPossible) << "connections closed for reason " << i;
  }
  EXPECT_GT(coverage.drains, coverage.seeds / 20);
  EXPECT_GT(coverage.refused, coverage.seeds / 50);
  EXPECT_GT(coverage.pausedForMemory, coverage.seeds / 200);
  EXPECT_GE(coverage.inputsHeldBack, coverage.seeds / 500) << "the limit is hardly tested";
  EXPECT_GE(coverage.outputsHeldBack, coverage.seeds / 200) << "the limit is hardly tested";
}

TEST_P(SimulationTest, Seeds_everyPropertyHolds) { expectCovered(playAll(kSeeds)); }

INSTANTIATE_TEST_SUITE_P(Seeds, SimulationTest, testing::Range(0, kShards));

using SimulationLongTest = SimulationTest;

TEST_P(SimulationLongTest, ManySeeds_everyPropertyHolds) { expectCovered(playAll(kLongSeeds)); }

INSTANTIATE_TEST_SUITE_P(Seeds, SimulationLongTest, testing::Range(0, kShards));

}  // namespace
}  // namespace gyre
