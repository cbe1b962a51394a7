// UringFeaturesTest: what the kernel offers, what is switched off, and why io_uring is refused.
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include "gyre/base/UniqueFd.h"
#include "proactor/UringTest.h"
#include "proactor/uring/UringFeatures.h"

namespace gyre {
namespace {

using testing::HasSubstr;

constexpr UringFeatures kAll{true, true, true, true, true};

struct NamedFeature {
  const char* name;
  bool UringFeatures::*member;
};
constexpr NamedFeature kFeatures[] = {
    {"no_sqarray", &UringFeatures::noSqArray},
    {"no_iowait", &UringFeatures::noIowait},
    {"registered_ring", &UringFeatures::registeredRing},
    {"multishot_accept", &UringFeatures::multishotAccept},
    {"accept_dontwait", &UringFeatures::acceptDontWait},
};

constexpr int kFeatureCount = std::size(kFeatures);

int countOn(const UringFeatures& features) {
  int count = 0;
  for (const NamedFeature& feature : kFeatures) count += features.*feature.member ? 1 : 0;
  return count;
}

class FeatureSwitchTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* value = std::getenv("GYRE_DISABLE");
    before_ = value == nullptr ? "" : value;
    ::unsetenv("GYRE_DISABLE");
  }
  void TearDown() override { ::setenv("GYRE_DISABLE", before_.c_str(), 1); }

  ProactorOptions options_;

 private:
  std::string before_;
};

TEST_F(FeatureSwitchTest, Enabled_nothingSwitchedOff_isWhatIsAvailable) {
  EXPECT_EQ(countOn(enabledFeatures(kAll, options_)), kFeatureCount);
  EXPECT_EQ(countOn(enabledFeatures(UringFeatures{}, options_)), 0);
}

TEST_F(FeatureSwitchTest, Enabled_eachByOption_isOffAndTheOthersStay) {
  for (const NamedFeature& feature : kFeatures) {
    options_.disabledFeatures = {feature.name};
    const UringFeatures features = enabledFeatures(kAll, options_);
    EXPECT_FALSE(features.*feature.member) << feature.name;
    EXPECT_EQ(countOn(features), kFeatureCount - 1) << feature.name;
  }
}

TEST_F(FeatureSwitchTest, Enabled_eachByEnvironment_isOffAndTheOthersStay) {
  for (const NamedFeature& feature : kFeatures) {
    ::setenv("GYRE_DISABLE", feature.name, 1);
    const UringFeatures features = enabledFeatures(kAll, options_);
    EXPECT_FALSE(features.*feature.member) << feature.name;
    EXPECT_EQ(countOn(features), kFeatureCount - 1) << feature.name;
  }
}

TEST_F(FeatureSwitchTest, Enabled_aListAndAnOption_addUp) {
  ::setenv("GYRE_DISABLE", "no_sqarray,multishot_accept", 1);
  options_.disabledFeatures = {"no_iowait"};
  const UringFeatures features = enabledFeatures(kAll, options_);
  EXPECT_EQ(countOn(features), kFeatureCount - 3);
  EXPECT_TRUE(features.registeredRing);
}

TEST_F(FeatureSwitchTest, Enabled_emptyAndUnknownNames_changeNothing) {
  for (const char* value : {"", ",", ",,no_such_feature,", "no_sqarra", "no_sqarrayy"}) {
    ::setenv("GYRE_DISABLE", value, 1);
    EXPECT_EQ(countOn(enabledFeatures(kAll, options_)), kFeatureCount) << value;
  }
}

TEST_F(FeatureSwitchTest, Describe_saysForEachWhetherAndWhyNot) {
  UringFeatures available = kAll;
  available.noIowait = false;
  options_.disabledFeatures = {"registered_ring"};
  const std::vector<FeatureReport> reports = describeFeatures(available, options_);
  ASSERT_EQ(reports.size(), std::size(kFeatures));
  for (const FeatureReport& report : reports) {
    EXPECT_FALSE(report.since.empty());
    EXPECT_FALSE(report.effect.empty());
    EXPECT_EQ(report.reason.empty(), report.on) << report.name;
  }
  EXPECT_TRUE(reports[0].on);
  EXPECT_THAT(reports[1].reason, HasSubstr("6.15"));
  EXPECT_THAT(reports[2].reason, HasSubstr("GYRE_DISABLE"));
}

TEST(RefusalTest, EveryErrorOfSetup_hasACauseAndACure) {
  for (const int error : {EPERM, ENOSYS, EINVAL, ENOMEM, EMFILE, ENFILE, EACCES, EFAULT}) {
    const Refusal refusal = explainRefusal(error);
    EXPECT_FALSE(refusal.cause.empty()) << error;
    EXPECT_FALSE(refusal.cure.empty()) << error;
  }
}

TEST(RefusalTest, Shortages_nameTheirLimits) {
  EXPECT_THAT(explainRefusal(ENOMEM).cause, HasSubstr("RLIMIT_MEMLOCK"));
  EXPECT_THAT(explainRefusal(EMFILE).cure, HasSubstr("RLIMIT_NOFILE"));
}

TEST(RefusalTest, OldKernel_namesTheOneThatRunsAndTheOneNeeded) {
  utsname name{};
  ::uname(&name);
  EXPECT_THAT(explainRefusal(EINVAL).cause, HasSubstr(name.release));
  EXPECT_THAT(explainRefusal(EINVAL).cure, HasSubstr("6.1"));
}

TEST(KernelVersionTest, IsKernelBetween_includesTheFirstAndExcludesTheLast) {
  utsname name{};
  ASSERT_EQ(::uname(&name), 0);
  int major = 0;
  int minor = 0;
  ASSERT_EQ(std::sscanf(name.release, "%d.%d", &major, &minor), 2);
  EXPECT_TRUE(isKernelBetween(major, minor, major, minor + 1));
  EXPECT_TRUE(isKernelBetween(0, 0, major + 1, 0));
  EXPECT_TRUE(isKernelBetween(major - 1, 999, major, minor + 1));
  EXPECT_FALSE(isKernelBetween(0, 0, major, minor));
  EXPECT_FALSE(isKernelBetween(major, minor + 1, major + 1, 0));
}

class UringSupportTest : public UringTest {};

TEST_F(UringSupportTest, Available_isWhatThisKernelsVersionPromises) {
  const UringFeatures features = uringSupport().available;
  EXPECT_EQ(features.noSqArray, !isKernelBetween(0, 0, 6, 6));
  EXPECT_EQ(features.noIowait, !isKernelBetween(0, 0, 6, 15));
  EXPECT_TRUE(features.registeredRing);
  EXPECT_EQ(features.multishotAccept, !isKernelBetween(6, 3, 6, 8));
}

// Wherever in the preflight the descriptors run out: a shortage is neither an old kernel nor kept.
class UringSupportDeathTest : public UringTest {};

TEST_F(UringSupportDeathTest, Descriptors_runOutAnywhereInside_isAShortageAndPasses) {
  const auto body = [] {
    const UniqueFd lowest(::dup(0));
    const auto used = static_cast<rlim_t>(lowest.get());
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    int shortages = 0;
    for (rlim_t more = 1; more <= 32; ++more) {
      const rlimit limit{used + more, before.rlim_max};
      ::setrlimit(RLIMIT_NOFILE, &limit);
      const UringSupport support = uringSupport();
      if (support.error == 0) std::exit(shortages > 0 ? 0 : 1);
      std::fprintf(stderr, "%d: %s (%s)\n", support.error, support.cause.c_str(),
                   support.cure.c_str());
      if (support.error != EMFILE) std::exit(2);
      ++shortages;
    }
    std::exit(3);
  };
  EXPECT_EXIT(body(), testing::ExitedWithCode(0), "RLIMIT_NOFILE");
}

}  // namespace
}  // namespace gyre
