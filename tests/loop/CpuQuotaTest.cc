// CPU quotas of control groups, read from trees of files as the kernel shows them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "loop/CpuQuota.h"

namespace gyre {
namespace {

class CpuQuotaTest : public testing::Test {
 protected:
  CpuQuotaTest() {
    std::string name = (std::filesystem::temp_directory_path() / "gyre-quota-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~CpuQuotaTest() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void writeV2(const std::string& group, const std::string& text) {
    write("/sys/fs/cgroup" + group + "/cpu.max", text);
  }
  void writeV1(const std::string& group, const std::string& quota) {
    write("/sys/fs/cgroup/cpu,cpuacct" + group + "/cpu.cfs_quota_us", quota + "\n");
    write("/sys/fs/cgroup/cpu,cpuacct" + group + "/cpu.cfs_period_us", "100000\n");
  }

  std::string root_;
};

TEST_F(CpuQuotaTest, V2_isTheQuotaOverThePeriod_roundedUp) {
  write("/proc/self/cgroup", "0::/app\n");
  writeV2("/app", "250000 100000\n");
  EXPECT_EQ(cpuQuota(root_), 3);
  writeV2("/app", "200000 100000\n");
  EXPECT_EQ(cpuQuota(root_), 2);
  writeV2("/app", "10000 100000\n");
  EXPECT_EQ(cpuQuota(root_), 1);
}

TEST_F(CpuQuotaTest, V2_theLeastOfAllGroupsAboveCounts) {
  write("/proc/self/cgroup", "0::/slice/app/main\n");
  writeV2("/slice", "150000 50000\n");
  writeV2("/slice/app", "800000 100000\n");
  writeV2("/slice/app/main", "max 100000\n");
  EXPECT_EQ(cpuQuota(root_), 3);
}

// A container with its own cgroup namespace is at the top of what it sees.
TEST_F(CpuQuotaTest, V2_atTheTop) {
  write("/proc/self/cgroup", "0::/\n");
  writeV2("", "400000 100000\n");
  EXPECT_EQ(cpuQuota(root_), 4);
}

TEST_F(CpuQuotaTest, V2_max_isNone) {
  write("/proc/self/cgroup", "0::/app\n");
  writeV2("/app", "max 100000\n");
  EXPECT_EQ(cpuQuota(root_), std::nullopt);
}

TEST_F(CpuQuotaTest, V1_isTheQuotaOfTheCpuController) {
  write("/proc/self/cgroup",
        "9:cpuset:/docker/12\n4:cpu,cpuacct:/docker/12\n1:name=systemd:/docker/12\n0::/other\n");
  writeV1("/docker/12", "150000");
  EXPECT_EQ(cpuQuota(root_), 2);
}

// The path is the one outside; what is mounted inside is the group itself.
TEST_F(CpuQuotaTest, V1_insideAContainer_theMountIsTheGroup) {
  write("/proc/self/cgroup", "4:cpu,cpuacct:/docker/12\n");
  writeV1("", "500000");
  EXPECT_EQ(cpuQuota(root_), 5);
}

TEST_F(CpuQuotaTest, V1_minusOne_isNone) {
  write("/proc/self/cgroup", "4:cpu,cpuacct:/docker/12\n");
  writeV1("/docker/12", "-1");
  EXPECT_EQ(cpuQuota(root_), std::nullopt);
}

TEST_F(CpuQuotaTest, BothVersions_theLesserCounts) {
  write("/proc/self/cgroup", "4:cpu,cpuacct:/a\n0::/b\n");
  writeV1("/a", "600000");
  write("/sys/fs/cgroup/unified/b/cpu.max", "300000 100000\n");
  EXPECT_EQ(cpuQuota(root_), 3);
}

TEST_F(CpuQuotaTest, NothingToRead_orNonsense_isNone) {
  EXPECT_EQ(cpuQuota(root_), std::nullopt);
  write("/proc/self/cgroup", "nonsense\n0::/app\n:\n");
  writeV2("/app", "\n");
  EXPECT_EQ(cpuQuota(root_), std::nullopt);
  writeV2("/app", "100000 0\n");
  EXPECT_EQ(cpuQuota(root_), std::nullopt);
}

}  // namespace
}  // namespace gyre
