// The whole server, seed for seed: the same history, whatever the addresses of its objects.
#include "gyre/base/Log.h"
#include "sim/SimulationRun.h"
#include "support/ChildProcess.h"

namespace gyre {
namespace {

constexpr std::uint64_t kSeeds = 100;

std::uint64_t hashOf(std::uint64_t seed) {
  SimulationCoverage coverage;
  SimulationRun run(seed, coverage);
  run.play();
  return run.hash();
}

std::uint64_t hashOfAll() {
  setLogLevel(LogLevel::Off);
  std::uint64_t sum = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) sum = sum * 31 + hashOf(seed);
  return sum;
}

int tellHash(LineChannel& parent) {
  while (parent.hear()) parent.say(std::to_string(hashOfAll()));
  return 0;
}

const ChildProgram kHistory("simulation-history", &tellHash);

TEST(SimulationHashTest, SameSeed_isTheSameHistory) { EXPECT_EQ(hashOfAll(), hashOfAll()); }

TEST(SimulationHashTest, OtherSeed_isAnotherHistory) {
  setLogLevel(LogLevel::Off);
  EXPECT_NE(hashOf(1), hashOf(2));
}

TEST(SimulationHashTest, AnotherProcess_isTheSameHistory) {
  ChildProcess other("simulation-history");
  EXPECT_EQ(other.ask("hash"), std::to_string(hashOfAll()));
}

}  // namespace
}  // namespace gyre
