// CpuQuota: how many CPUs the control groups of this process let it use at most.
//
// A container with `--cpus=2` on a machine of 64 sees 64 CPUs in its affinity mask, and is stopped
// for the rest of each period once its threads have used what two CPUs give.
#pragma once

#include <optional>
#include <string>

namespace gyre {

// The least quota of the process's group and of those above it: cpu.max of cgroup v2, or
// cpu.cfs_quota_us of v1, rounded up to whole CPUs, at least 1. Nothing where there is no quota, or
// none that can be read. `root` stands before /proc and /sys/fs/cgroup, for tests.
std::optional<int> cpuQuota(const std::string& root = {});

}  // namespace gyre
