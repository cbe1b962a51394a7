#include "support/RunDelay.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace gyre {
namespace {

// proc(5), schedstat: time on the CPU, time waiting for it, number of time slices.
std::chrono::nanoseconds readDelay(const std::string& path) {
  std::int64_t ran = 0;
  std::int64_t waited = 0;
  std::ifstream(path) >> ran >> waited;
  return std::chrono::nanoseconds(waited);
}

}  // namespace

std::chrono::nanoseconds runDelay() { return readDelay("/proc/thread-self/schedstat"); }

std::chrono::nanoseconds runDelayOf(pid_t process) {
  std::chrono::nanoseconds sum{0};
  std::error_code gone;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, gone)) {
    sum += readDelay(task.path().string() + "/schedstat");
  }
  return sum;
}

}  // namespace gyre
