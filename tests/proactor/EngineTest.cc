// EngineTest: which engine is made: by option, by environment, by what the kernel permits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <system_error>

#include "gyre/proactor/EngineReport.h"
#include "gyre/proactor/Proactor.h"
#include "proactor/UringTest.h"

namespace gyre {
namespace {

class EngineOptionsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* value = std::getenv("GYRE_ENGINE")) before_ = value;
  }
  void TearDown() override {
    ::unsetenv("GYRE_ENGINE");
    if (before_) ::setenv("GYRE_ENGINE", before_->c_str(), 1);
  }

 private:
  std::optional<std::string> before_;
};

TEST_F(EngineOptionsTest, Default_environmentUnsetOrEmpty_isAuto) {
  ::unsetenv("GYRE_ENGINE");
  EXPECT_EQ(defaultProactorOptions().engine, Engine::Auto);
  ::setenv("GYRE_ENGINE", "", 1);
  EXPECT_EQ(defaultProactorOptions().engine, Engine::Auto);
}

TEST_F(EngineOptionsTest, Default_environmentNamesAnEngine_isThat) {
  for (const Engine engine : {Engine::Auto, Engine::Uring, Engine::Epoll}) {
    ::setenv("GYRE_ENGINE", std::string(engineName(engine)).c_str(), 1);
    EXPECT_EQ(defaultProactorOptions().engine, engine);
  }
}

TEST_F(EngineOptionsTest, Default_environmentNamesNone_throwsAndListsThem) {
  for (const char* value : {"io_uring", "URING", " uring", "7"}) {
    ::setenv("GYRE_ENGINE", value, 1);
    try {
      defaultProactorOptions();
      ADD_FAILURE() << value << " was taken for an engine";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), EINVAL);
      EXPECT_THAT(error.what(), testing::HasSubstr(value));
      EXPECT_THAT(error.what(), testing::HasSubstr("auto, uring or epoll"));
    }
  }
}

TEST(EngineTest, MakeProactor_epoll_isEpollAndHasNoRing) {
  ProactorOptions options;
  options.engine = Engine::Epoll;
  const std::unique_ptr<Proactor> proactor = makeProactor(options);
  EXPECT_EQ(proactor->name(), "epoll");
  EXPECT_EQ(proactor->grant().submissionEntries, 0U);
  EXPECT_EQ(proactor->grant().setupFlags, 0U);
}

TEST(EngineTest, InspectEpoll_isUsable) {
  const EngineReport report = inspectEpoll({});
  EXPECT_EQ(report.engine, Engine::Epoll);
  EXPECT_TRUE(report.usable) << report.cause;
  EXPECT_EQ(report.cause, "");
}

class UringEngineTest : public UringTest {};

TEST_F(UringEngineTest, Auto_whereIoUringWorks_isUring) {
  EXPECT_EQ(chooseEngine().engine, Engine::Uring);
  EXPECT_EQ(chooseEngine().cure, "");
  EXPECT_EQ(makeProactor(ProactorOptions())->name(), "uring");
}

TEST_F(UringEngineTest, InspectUring_reportsTheRingThatOptionsAskFor) {
  ProactorOptions options;
  options.submissionEntries = 32;
  options.completionEntries = 256;
  options.disabledFeatures = {"no_iowait"};
  const EngineReport report = inspectUring(options);
  EXPECT_TRUE(report.usable) << report.cause;
  EXPECT_EQ(report.grant.submissionEntries, 32U);
  EXPECT_EQ(report.grant.completionEntries, 256U);
  ASSERT_EQ(report.features.size(), 5U);
  EXPECT_EQ(report.features[1].name, "no_iowait");
  EXPECT_FALSE(report.features[1].on);
}

TEST_F(UringEngineTest, InspectUring_optionsThatCannotBe_saysSo) {
  ProactorOptions options;
  options.ioPolling = true;
  const EngineReport report = inspectUring(options);
  EXPECT_FALSE(report.usable);
  EXPECT_EQ(report.error, EINVAL);
  EXPECT_THAT(report.cause + report.cure, testing::HasSubstr("IOPOLL"));
}

}  // namespace
}  // namespace gyre
