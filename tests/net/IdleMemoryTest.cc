// What a connection costs that does nothing: user memory, measured in a process of its own. Absent
// under sanitizers.
#include "support/Sanitizers.h"

#ifndef GYRE_TEST_SANITIZED

#include <cstdio>
#include <optional>
#include <thread>
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/LoopFixture.h"
#include "support/Peer.h"
#include "support/ServerProcess.h"

namespace gyre {
namespace {

constexpr std::size_t kWarmUp = 1000;
constexpr std::size_t kMeasured = 10'000;

double bytesMax() {
  // The epoll engine also keeps a watch per descriptor.
  return testProactorOptions().engine == Engine::Epoll ? 256 + 32 : 256;
}

class IdleMemoryTest : public LoopFixture {
 protected:
  void TearDown() override {
    peers_.clear();
    remote_.reset();
    LoopFixture::TearDown();
  }

  void connectUntil(std::size_t count) {
    if (!remote_) remote_.emplace();
    while (peers_.size() < count) peers_.emplace_back(remote_->address());
    const auto isUp = [&] { return remote_->counters().connections >= count; };
    ASSERT_TRUE(waitUntil(isUp));
  }

  // In groups, as clients come; all have got theirs back at the end.
  void exchange(std::string_view text) {
    constexpr std::size_t kGroup = 100;
    for (std::size_t i = 0; i < peers_.size(); i += kGroup) {
      const auto group = std::span(peers_).subspan(i, kGroup);
      ASSERT_EQ(countEchoed(group, text, [] {}), group.size());
    }
  }

  // Looks again and again, for as long as `patience`: memory is given back by a timer.
  static bool waitUntil(const std::function<bool()>& isTrue,
                        std::chrono::steady_clock::duration patience = kPatience) {
    const auto limit = std::chrono::steady_clock::now() + patience;
    while (!isTrue()) {
      if (std::chrono::steady_clock::now() >= limit) return false;
      std::this_thread::yield();
    }
    return true;
  }

  double bytesEach(std::size_t before) {
    return (static_cast<double>(remote_->residentBytes()) - static_cast<double>(before)) /
           static_cast<double>(kMeasured);
  }

  std::optional<ServerProcess> remote_;
  std::vector<Peer> peers_;
};

TEST_F(IdleMemoryTest, Connection_idle_costs256BytesAtMost) {
  const std::string text = patternBytes(4096);
  connectUntil(kWarmUp);
  exchange(text);
  exchange(text);
  const std::size_t before = remote_->residentBytes();

  connectUntil(kWarmUp + kMeasured);
  const double untouched = bytesEach(before);
  exchange(text);
  // Half a second after the last it begins to give back what the messages needed; how soon that
  // comes to its turn is the machine's.
  waitUntil([&] { return bytesEach(before) <= bytesMax(); });
  const double afterMessage = bytesEach(before);

  std::printf("bytes of user memory per idle connection: %.0f; after a message of 4 KiB: %.0f\n",
              untouched, afterMessage);
  EXPECT_LE(untouched, bytesMax());
  EXPECT_LE(afterMessage, bytesMax());
}

}  // namespace
}  // namespace gyre

#endif
