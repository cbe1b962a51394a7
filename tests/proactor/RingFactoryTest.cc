// RingFactoryTest: rings of the size that RLIMIT_MEMLOCK allows, alike for a whole process.
#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include "proactor/UnprivilegedChild.h"
#include "proactor/UringTest.h"
#include "proactor/uring/RingFactory.h"
#include "proactor/uring/UringProactor.h"

namespace gyre {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
constexpr RingSizes kDefault{1024, 8192};

using Pair = std::pair<std::uint32_t, std::uint32_t>;

Pair affordable(RingSizes wanted, std::uint32_t rings, std::uint64_t limit) {
  const RingSizes sizes = affordableSizes(wanted, rings, limit);
  return {sizes.submissionEntries, sizes.completionEntries};
}

// What the two queues need at the very least, without headers.
std::uint64_t entryBytes(Pair sizes) { return sizes.first * 64ULL + sizes.second * 16ULL; }

TEST(AffordableSizesTest, Unlimited_isWhatWasWanted) {
  for (const std::uint32_t rings : {0U, 1U, 65U, 1025U}) {
    EXPECT_EQ(affordable(kDefault, rings, kUnlimited), Pair(1024, 8192));
  }
}

TEST(AffordableSizesTest, NoLimitAtAll_isTheSmallest) {
  EXPECT_EQ(affordable(kDefault, 1, 0), Pair(8, 32));
  EXPECT_EQ(affordable(kDefault, 1025, 64 * kKiB), Pair(8, 32));
}

TEST(AffordableSizesTest, NoRingsPlanned_countsAsOne) {
  EXPECT_EQ(affordable(kDefault, 0, 256 * kKiB), affordable(kDefault, 1, 256 * kKiB));
}

TEST(AffordableSizesTest, EightMebibytes_isFullSizeForSomeLoopsAndLessForMany) {
  EXPECT_EQ(affordable(kDefault, 5, 8192 * kKiB), Pair(1024, 8192));
  const Pair many = affordable(kDefault, 65, 8192 * kKiB);
  EXPECT_LT(entryBytes(many), entryBytes({1024, 8192}));
  EXPECT_GE(many.first, 64U) << "far too small for what there is";
}

TEST(AffordableSizesTest, EveryLimitAndNumberOfRings_fitsAndLeavesAQuarter) {
  for (std::uint64_t limit = 0; limit <= 64 * 1024 * kKiB; limit += limit / 7 + 4 * kKiB) {
    for (const std::uint32_t rings : {1U, 2U, 3U, 5U, 9U, 17U, 65U, 257U, 1025U}) {
      const Pair sizes = affordable(kDefault, rings, limit);
      const auto [submissions, completions] = sizes;
      ASSERT_TRUE(std::has_single_bit(submissions) && std::has_single_bit(completions));
      ASSERT_GE(completions, 2 * submissions) << "less than the kernel's own default";
      ASSERT_LE(submissions, 1024U);
      ASSERT_LE(completions, 8192U);
      if (sizes != Pair(8, 32)) {
        ASSERT_LE(entryBytes(sizes) * rings, limit / 4 * 3) << limit << " for " << rings;
      }
    }
  }
}

TEST(AffordableSizesTest, MoreLimit_isNeverLess) {
  Pair before = affordable(kDefault, 5, 0);
  for (std::uint64_t limit = 0; limit <= 16 * 1024 * kKiB; limit += 4 * kKiB) {
    const Pair sizes = affordable(kDefault, 5, limit);
    ASSERT_GE(sizes.first, before.first) << limit;
    ASSERT_GE(sizes.second, before.second) << limit;
    before = sizes;
  }
  EXPECT_EQ(before, Pair(1024, 8192));
}

TEST(AffordableSizesTest, CompletionsHalveFirst) {
  // A completion queue is worth less than a submission queue once it is long enough.
  bool hasSeenLess = false;
  for (std::uint64_t limit = 16 * kKiB; limit < 512 * kKiB; limit += kKiB) {
    const Pair sizes = affordable(kDefault, 1, limit);
    if (sizes.second == 8192) continue;
    hasSeenLess = true;
    if (sizes.first < 1024) {
      ASSERT_LE(sizes.second, 4 * sizes.first) << limit;
    }
  }
  EXPECT_TRUE(hasSeenLess);
}

TEST(AffordableSizesTest, SmallWishes_areNotRaised) {
  EXPECT_EQ(affordable({4, 8}, 1, 0), Pair(4, 8));
  EXPECT_EQ(affordable({16, 64}, 1, kUnlimited), Pair(16, 64));
  EXPECT_EQ(affordable({64, 64}, 1, 0), Pair(8, 32));
}

// The kernel rounds up, so what is charged is the next power of two.
TEST(AffordableSizesTest, OddWishes_areChargedAsTheKernelRoundsThem) {
  EXPECT_EQ(affordable({1025, 8193}, 1, kUnlimited), Pair(1025, 8193));
  for (std::uint64_t limit = 64 * kKiB; limit < 1024 * kKiB; limit += 4 * kKiB) {
    const auto [submissions, completions] = affordable({1025, 8193}, 1, limit);
    const Pair granted{std::bit_ceil(submissions), std::bit_ceil(completions)};
    ASSERT_LE(entryBytes(granted), limit / 4 * 3) << submissions << "/" << completions;
  }
}

class OpenRingTest : public UringTest {
 protected:
  static RingGrant grantFor(std::uint32_t submissions, std::uint32_t completions) {
    ProactorOptions options;
    options.submissionEntries = submissions;
    options.completionEntries = completions;
    return UringProactor(options).grant();
  }
};

TEST_F(OpenRingTest, Sizes_areHonoured) {
  for (const auto& [submissions, completions] : std::vector<Pair>{{8, 64}, {64, 128}, {16, 4096}}) {
    const RingGrant grant = grantFor(submissions, completions);
    EXPECT_EQ(grant.submissionEntries, submissions);
    EXPECT_EQ(grant.completionEntries, completions);
  }
}

TEST_F(OpenRingTest, Sizes_oddOnes_areRoundedUp) {
  const RingGrant grant = grantFor(100, 1000);
  EXPECT_EQ(grant.submissionEntries, 128U);
  EXPECT_EQ(grant.completionEntries, 1024U);
}

TEST_F(OpenRingTest, Sizes_beyondTheKernelsLimit_areClamped) {
  const RingGrant grant = grantFor(1U << 17, 1U << 18);
  EXPECT_EQ(grant.submissionEntries, 32768U);
  EXPECT_EQ(grant.completionEntries, 65536U);
}

TEST_F(OpenRingTest, Sizes_impossible_throwsNamingThem) {
  try {
    grantFor(64, 8);
    ADD_FAILURE() << "a completion queue shorter than the submission queue was granted";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EINVAL);
    EXPECT_NE(std::string(error.what()).find("64/8"), std::string::npos) << error.what();
  }
}

// --- A user whom RLIMIT_MEMLOCK binds. Each test is a user of its own: the charge is the user's,
// and is taken back some time after a ring was closed.

class OpenRingMemlockDeathTest : public UringTest {
 protected:
  static void becomeLimited(uid_t user, rlim_t bytes) {
    if (!becomeUnprivileged(user) || !limitLockedMemory(bytes)) std::exit(9);
  }
  [[noreturn]] static void exitWith(const std::string& problem) {
    std::fprintf(stderr, "%s\n", problem.c_str());
    std::exit(problem.empty() ? 0 : 1);
  }
};

const testing::ExitedWithCode kSucceeds(0);

TEST_F(OpenRingMemlockDeathTest, SeveralRings_areAllAlikeAndSmaller) {
  const auto body = [] {
    becomeLimited(kNobody - 101, 256 * kKiB);
    ProactorOptions options;
    options.ringsPlanned = 5;
    std::vector<std::unique_ptr<UringProactor>> proactors;
    for (int i = 0; i < 5; ++i) proactors.push_back(std::make_unique<UringProactor>(options));
    const RingGrant first = proactors[0]->grant();
    for (const auto& proactor : proactors) {
      const RingGrant grant = proactor->grant();
      if (grant.submissionEntries != first.submissionEntries ||
          grant.completionEntries != first.completionEntries) {
        exitWith("not alike");
      }
    }
    exitWith(first.completionEntries < 8192 ? "" : "not smaller");
  };
  EXPECT_EXIT(body(), kSucceeds, "rings shrink from 1024/8192 to .*RLIMIT_MEMLOCK is 256 KiB");
}

TEST_F(OpenRingMemlockDeathTest, FarTooLittle_throwsNamingTheLimit) {
  const auto body = [] {
    becomeLimited(kNobody - 102, 0);
    try {
      UringProactor proactor{ProactorOptions()};
    } catch (const std::system_error& error) {
      if (error.code().value() != ENOMEM) exitWith("not ENOMEM");
      std::fprintf(stderr, "%s\n", error.what());
      exitWith("");
    }
    exitWith("a ring without memory");
  };
  EXPECT_EXIT(body(), kSucceeds, "RLIMIT_MEMLOCK.*\\(.*ulimit -l");
}

TEST_F(OpenRingMemlockDeathTest, Refused_laterWithMoreLimit_works) {
  const auto body = [] {
    if (!becomeUnprivileged(kNobody - 103)) std::exit(9);
    const rlimit none{0, 8192 * kKiB};
    ::setrlimit(RLIMIT_MEMLOCK, &none);
    if (uringSupport().error != ENOMEM) exitWith("not ENOMEM");
    const rlimit enough{8192 * kKiB, 8192 * kKiB};
    ::setrlimit(RLIMIT_MEMLOCK, &enough);
    exitWith(uringSupport().error == 0 ? "" : "a shortage was remembered");
  };
  EXPECT_EXIT(body(), kSucceeds, "");
}

}  // namespace
}  // namespace gyre
