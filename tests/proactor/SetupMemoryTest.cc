// An engine that gets no memory for its receive buffers says so when it is made: a loop without
// them would reset every client.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <system_error>

#include "gyre/proactor/Proactor.h"
#include "proactor/UringTest.h"
#include "support/Sanitizers.h"

#ifndef GYRE_TEST_SANITIZED

namespace gyre {
namespace {

// Address space beyond what the process has.
void limitAddressSpace(rlim_t more) {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t bytes = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + more;
  const rlimit limit{bytes, bytes};
  ::setrlimit(RLIMIT_AS, &limit);
}

// Ends the process with what making the engine said.
[[noreturn]] void makeIn64MiB(const ProactorOptions& options) {
  limitAddressSpace(64 << 20);
  try {
    makeProactor(options);
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    ::_exit(error.code().value());
  }
  ::_exit(0);
}

using SetupMemoryTest = UringTest;

TEST_F(SetupMemoryTest, Uring_noMemoryForReceiveBuffers_throwsNamingThemAndTheCure) {
  ProactorOptions options;
  options.engine = Engine::Uring;
  EXPECT_EXIT(makeIn64MiB(options), testing::ExitedWithCode(0), "");
  options.receiveBuffersMax = 4096;  // 128 MiB
  EXPECT_EXIT(makeIn64MiB(options), testing::ExitedWithCode(ENOMEM),
              "no memory for 4096 receive buffers of 32768 bytes .raise .*RLIMIT_AS");
}

TEST_F(SetupMemoryTest, Epoll_noMemoryForItsReceiveBuffer_throwsNamingItAndTheCure) {
  ProactorOptions options;
  options.engine = Engine::Epoll;
  EXPECT_EXIT(makeIn64MiB(options), testing::ExitedWithCode(0), "");
  options.hotBufferSize = 128 << 20;
  EXPECT_EXIT(makeIn64MiB(options), testing::ExitedWithCode(ENOMEM),
              "no memory for a receive buffer of 134217728 bytes .raise RLIMIT_AS");
}

}  // namespace
}  // namespace gyre

#endif
