// MappedMemoryTest: memory that is zeroed, owned, and not shared with a child.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string_view>
#include <utility>

#include "gyre/base/UniqueFd.h"
#include "proactor/MappedMemory.h"
#include "proactor/PageResidency.h"

namespace gyre {
namespace {

constexpr std::size_t kSize = 64 * 1024;

// What `question` answers in a child process.
bool askChild(const std::function<bool()>& question) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(question() ? 1 : 0);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

TEST(MappedMemoryTest, Map_anonymous_isZeroedAndWritable) {
  MappedMemory memory = MappedMemory::map(kSize);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory.size(), kSize);
  EXPECT_TRUE(std::all_of(memory.data(), memory.data() + kSize, [](char c) { return c == 0; }));
  std::fill_n(memory.data(), kSize, 'x');
  EXPECT_EQ(memory.data()[kSize - 1], 'x');
}

TEST(MappedMemoryTest, Map_descriptor_sharesItsBytes) {
  const UniqueFd fd(::memfd_create("mapped", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(fd.get(), kSize), 0);
  const MappedMemory memory = MappedMemory::map(kSize, fd.get());
  ASSERT_TRUE(memory);
  std::copy_n("ring", 4, memory.data() + 100);
  char got[4];
  ASSERT_EQ(::pread(fd.get(), got, sizeof got, 100), 4);
  EXPECT_EQ(std::string_view(got, 4), "ring");
}

TEST(MappedMemoryTest, Map_tooMuch_isNullAndSaysWhy) {
  errno = 0;
  const MappedMemory memory = MappedMemory::map(std::size_t{1} << 60);
  EXPECT_FALSE(memory);
  EXPECT_EQ(memory.data(), nullptr);
  EXPECT_EQ(errno, ENOMEM);
}

TEST(MappedMemoryTest, Fork_theChildDoesNotHaveIt) {
  const MappedMemory memory = MappedMemory::map(kSize);
  ASSERT_TRUE(isMapped(memory.data(), kSize));
  EXPECT_FALSE(askChild([&memory] { return isMapped(memory.data(), kSize); }));
}

TEST(MappedMemoryTest, Destructor_unmaps) {
  const char* data = nullptr;
  {
    const MappedMemory memory = MappedMemory::map(kSize);
    data = memory.data();
  }
  // In a child: there nobody else maps something meanwhile.
  EXPECT_FALSE(askChild([data] { return isMapped(data, kSize); }));
}

TEST(MappedMemoryTest, Move_leavesNothingBehind) {
  MappedMemory first = MappedMemory::map(kSize);
  const char* data = first.data();
  MappedMemory second = std::move(first);
  EXPECT_EQ(second.data(), data);
  EXPECT_FALSE(first);
  MappedMemory third;
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.size(), kSize);
  EXPECT_FALSE(second);
}

}  // namespace
}  // namespace gyre
