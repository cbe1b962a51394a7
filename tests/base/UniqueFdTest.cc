// UniqueFdTest: a descriptor has one owner, who closes it once.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <type_traits>
#include <utility>

#include "gyre/base/UniqueFd.h"

namespace gyre {
namespace {

static_assert(sizeof(UniqueFd) == sizeof(int));
static_assert(!std::is_copy_constructible_v<UniqueFd> && !std::is_copy_assignable_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);
static_assert(std::is_nothrow_move_assignable_v<UniqueFd>);
static_assert(!std::is_convertible_v<int, UniqueFd>, "taking ownership is said aloud");

int openAny() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

bool isOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFdTest, Default_ownsNothing) {
  const UniqueFd fd;
  EXPECT_FALSE(fd);
  EXPECT_EQ(fd.get(), -1);
}

TEST(UniqueFdTest, Constructor_failedCall_ownsNothing) {
  for (const int failed : {-1, -EMFILE}) {
    const UniqueFd fd(failed);
    EXPECT_FALSE(fd);
    EXPECT_EQ(fd.get(), -1);
  }
}

TEST(UniqueFdTest, DescriptorZero_isOwned) {
  UniqueFd fd(0);
  EXPECT_TRUE(fd);
  EXPECT_EQ(fd.release(), 0);
}

TEST(UniqueFdTest, Destructor_closes) {
  const int raw = openAny();
  {
    const UniqueFd fd(raw);
    EXPECT_TRUE(isOpen(fd.get()));
  }
  EXPECT_FALSE(isOpen(raw));
}

TEST(UniqueFdTest, Release_leavesOpenAndOwnsNothing) {
  UniqueFd fd(openAny());
  const int raw = fd.release();
  EXPECT_FALSE(fd);
  EXPECT_TRUE(isOpen(raw));
  ::close(raw);
}

TEST(UniqueFdTest, Reset_closesOldAndOwnsNew) {
  const int first = openAny();
  const int second = openAny();
  UniqueFd fd(first);
  fd.reset(second);
  EXPECT_FALSE(isOpen(first));
  EXPECT_TRUE(isOpen(second));
  EXPECT_EQ(fd.get(), second);
  fd.reset();
  EXPECT_FALSE(isOpen(second));
  EXPECT_FALSE(fd);
}

TEST(UniqueFdTest, MoveConstruct_handsOver) {
  const int raw = openAny();
  UniqueFd source(raw);
  const UniqueFd target(std::move(source));
  EXPECT_EQ(source.get(), -1);  // NOLINT(bugprone-use-after-move): specified
  EXPECT_EQ(target.get(), raw);
  EXPECT_TRUE(isOpen(raw));
}

TEST(UniqueFdTest, MoveAssign_closesWhatTheTargetOwned) {
  const int first = openAny();
  const int second = openAny();
  UniqueFd target(first);
  UniqueFd source(second);
  target = std::move(source);
  EXPECT_FALSE(isOpen(first));
  EXPECT_EQ(target.get(), second);
  EXPECT_TRUE(isOpen(second));
}

TEST(UniqueFdTest, MoveAssign_toItself_keepsIt) {
  UniqueFd fd(openAny());
  UniqueFd& alias = fd;
  fd = std::move(alias);
  ASSERT_TRUE(fd);
  EXPECT_TRUE(isOpen(fd.get()));
}

TEST(UniqueFdTest, Close_leavesErrnoAlone) {
  UniqueFd fd(openAny());
  errno = EPROTO;
  fd.reset();
  EXPECT_EQ(errno, EPROTO);
  {
    const UniqueFd destroyed(openAny());
    errno = ENOLINK;
  }
  EXPECT_EQ(errno, ENOLINK);
}

class UniqueFdDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(UniqueFdDeathTest, Reset_toOwnDescriptor_aborts) {
  UniqueFd fd(openAny());
  EXPECT_DEATH(fd.reset(fd.get()), "reset to the descriptor that is owned already");
}

TEST_F(UniqueFdDeathTest, CloseFails_abortsExactlyWithoutNdebug_elseLeavesErrnoAlone) {
  UniqueFd fd(openAny());
  ::close(fd.get());
  errno = EPROTO;
#ifdef NDEBUG
  fd.reset();
  EXPECT_EQ(errno, EPROTO);
#else
  EXPECT_DEATH(fd.reset(), "a descriptor is closed by its owner only");
  static_cast<void>(fd.release());
#endif
}

}  // namespace
}  // namespace gyre
