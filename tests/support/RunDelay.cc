#include "support/RunDelay.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

namespace gyre {
namespace {

// proc(5), schedstat: time on the CPU, time waiting for it, number of time slices.
std::chrono::nanoseconds readDelay(const UniqueFd& file) {
  std::array<char, 128> text{};
  long long ran = 0;
  long long waited = 0;
  const bool isRead = ::pread(file.get(), text.data(), text.size() - 1, 0) > 0 &&
                      std::sscanf(text.data(), "%lld %lld", &ran, &waited) == 2;
  return std::chrono::nanoseconds(isRead ? waited : 0);
}

UniqueFd openStatistics(const std::string& task) {
  return UniqueFd(::open((task + "/schedstat").c_str(), O_RDONLY | O_CLOEXEC));
}

}  // namespace

RunDelay::RunDelay() : file_(openStatistics("/proc/thread-self")) {}

std::chrono::nanoseconds RunDelay::get() const { return readDelay(file_); }

std::chrono::nanoseconds runDelayOf(pid_t process) {
  std::chrono::nanoseconds sum{0};
  std::error_code gone;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, gone)) {
    sum += readDelay(openStatistics(task.path().string()));
  }
  return sum;
}

}  // namespace gyre
