#include "loop/CpuQuota.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace gyre {
namespace {

// A quota that is no number, or not above zero ("max", -1), is none.
std::optional<double> shareOf(const std::string& quota, const std::string& period) {
  char* end = nullptr;
  const double microseconds = std::strtod(quota.c_str(), &end);
  if (end == quota.c_str() || microseconds <= 0) return std::nullopt;
  const double every = std::strtod(period.c_str(), nullptr);
  if (every <= 0) return std::nullopt;
  return microseconds / every;
}

std::string firstWord(const std::string& file) {
  std::ifstream in(file);
  std::string word;
  in >> word;
  return word;
}

// "200000 100000", or "max 100000".
std::optional<double> quotaV2(const std::string& group) {
  std::ifstream in(group + "/cpu.max");
  std::string quota;
  std::string period;
  in >> quota >> period;
  return shareOf(quota, period);
}

std::optional<double> quotaV1(const std::string& group) {
  return shareOf(firstWord(group + "/cpu.cfs_quota_us"), firstWord(group + "/cpu.cfs_period_us"));
}

using Reader = std::optional<double> (*)(const std::string& group);

// The group and those above it, up to where the hierarchy is mounted. In a container whose mount
// shows its own group as the topmost one, the path names directories that are not there.
std::optional<double> leastQuota(const std::string& mount, std::string path, Reader read) {
  std::optional<double> least;
  for (;;) {
    if (const auto quota = read(mount + path)) least = std::min(least.value_or(*quota), *quota);
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return least;
    path.resize(slash);
  }
}

struct Membership {
  std::string controllers;  // empty: cgroup v2
  std::string path;         // without a slash at its end
};

// A line of /proc/self/cgroup: "0::/user.slice" or "4:cpu,cpuacct:/docker/1234".
std::optional<Membership> parseMembership(const std::string& line) {
  const std::size_t first = line.find(':');
  const std::size_t second = line.find(':', first + 1);
  if (first == std::string::npos || second == std::string::npos) return std::nullopt;
  Membership membership{line.substr(first + 1, second - first - 1), line.substr(second + 1)};
  while (membership.path.ends_with('/')) membership.path.pop_back();
  return membership;
}

bool hasCpuController(const std::string& controllers) {
  std::istringstream in(controllers);
  for (std::string name; std::getline(in, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

std::optional<double> quotaOf(const Membership& membership, const std::string& cgroups) {
  const std::string& path = membership.path;
  if (membership.controllers.empty()) {
    // The second is where a mixture of both versions has v2.
    const auto quota = leastQuota(cgroups, path, &quotaV2);
    return quota ? quota : leastQuota(cgroups + "/unified", path, &quotaV2);
  }
  if (!hasCpuController(membership.controllers)) return std::nullopt;
  const auto quota = leastQuota(cgroups + "/" + membership.controllers, path, &quotaV1);
  return quota ? quota : leastQuota(cgroups + "/cpu", path, &quotaV1);
}

}  // namespace

std::optional<int> cpuQuota(const std::string& root) {
  std::ifstream memberships(root + "/proc/self/cgroup");
  std::optional<double> least;
  for (std::string line; std::getline(memberships, line);) {
    const auto membership = parseMembership(line);
    if (!membership) continue;
    const auto quota = quotaOf(*membership, root + "/sys/fs/cgroup");
    if (quota) least = std::min(least.value_or(*quota), *quota);
  }
  if (!least) return std::nullopt;
  constexpr double kMost = 1 << 20;
  return static_cast<int>(std::ceil(std::clamp(*least, 1.0, kMost)));
}

}  // namespace gyre
