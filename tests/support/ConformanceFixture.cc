#include "support/ConformanceFixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iterator>

#include "gyre/base/Log.h"

namespace gyre {
namespace {

std::size_t openDescriptors() {
  flushLog();  // its thread opens some for a moment: the time zone, with the first message
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

std::string conformanceEngineName(const testing::TestParamInfo<ConformanceEngine>& info) {
  return info.param.name;
}

void ConformanceFixture::SetUp() {
  descriptors_ = openDescriptors();
  world_ = engine().makeWorld();
  const std::string refusal = engine().refusal();
  if (!refusal.empty()) GTEST_SKIP() << refusal;
}

void ConformanceFixture::TearDown() {
  loop_.reset();
  world_.reset();
  EXPECT_EQ(openDescriptors(), descriptors_) << "descriptors were left open";
}

ConformanceLoop& ConformanceFixture::loop() {
  if (loop_ == nullptr) loop_ = std::make_unique<ConformanceLoop>(world_->makeProactor());
  return *loop_;
}

ConformanceFixture::Link ConformanceFixture::link(int bufferBytes) {
  ConformanceLink made = world_->link(proactor(), bufferBytes);
  return {ConformanceSocket(loop(), made.near), std::move(made.far)};
}

ConformanceSocket ConformanceFixture::listen(const ListenOptions& options) {
  return {loop(), proactor().listen(InetAddress::loopback(0), options)};
}

ConformanceSocket ConformanceFixture::socket() { return {loop(), proactor().socket(AF_INET)}; }

ConformanceSocket ConformanceFixture::adopt(int fd) { return {loop(), proactor().adopt(fd)}; }

void ConformanceFixture::runInChild(const std::function<void()>& body) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    body();
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child failed: " << status;
}

}  // namespace gyre
