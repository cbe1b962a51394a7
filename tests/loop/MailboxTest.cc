// MailboxTest: functors for a loop, posted from anywhere, also when the loop has ended.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gyre/loop/Mailbox.h"
#include "gyre/proactor/Proactor.h"

namespace gyre {
namespace {

// Counts how often it is woken; nothing else is asked of it.
class WokenProactor final : public Proactor {
 public:
  void wake() noexcept override { ++wakes; }
  std::string_view name() const noexcept override { return "woken"; }
  void accept(IoContext&, SocketHandle) noexcept override {}
  void receive(IoContext&, SocketHandle) noexcept override {}
  void receiveInto(IoContext&, SocketHandle, std::span<char>) noexcept override {}
  void send(IoContext&, SocketHandle, std::span<const IoSlice>) noexcept override {}
  void connect(IoContext&, SocketHandle, const InetAddress&) noexcept override {}
  void poll(IoContext&, SocketHandle, std::uint32_t) noexcept override {}
  void read(IoContext&, SocketHandle, std::span<char>) noexcept override {}
  void cancel(IoContext&) noexcept override {}
  void cancelAll(SocketHandle) noexcept override {}
  void run(TimePoint) noexcept override {}
  TimePoint now() const noexcept override { return {}; }
  std::uint64_t random() noexcept override { return 0; }
  SocketHandle listen(const InetAddress&, const ListenOptions&) override { return {}; }
  SocketHandle socket(int) noexcept override { return {}; }
  SocketHandle adopt(int) noexcept override { return {}; }
  int setOption(SocketHandle, SocketOption, int) noexcept override { return 0; }
  InetAddress localAddress(SocketHandle) const noexcept override { return {}; }
  InetAddress peerAddress(SocketHandle) const noexcept override { return {}; }
  IoResult trySend(SocketHandle, std::string_view) noexcept override { return {}; }
  int shutdownWrite(SocketHandle) noexcept override { return 0; }
  int shutdownBoth(SocketHandle) noexcept override { return 0; }
  void close(SocketHandle) noexcept override {}

  std::atomic<int> wakes{0};
};

class MailboxTest : public testing::Test {
 protected:
  // Runs what has been posted, and returns how many that were.
  std::size_t runAll() {
    std::vector<Functor> batch;
    EXPECT_FALSE(mailbox_->take(batch)) << "no call was posted";
    for (Functor& functor : batch) functor();
    return batch.size();
  }

  WokenProactor proactor_;
  RefPtr<Mailbox> mailbox_ = makeRef<Mailbox>(nullptr, &proactor_);
};

TEST_F(MailboxTest, Take_isInTheOrderOfPosting) {
  std::vector<int> ran;
  EXPECT_TRUE(mailbox_->isEmpty());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(mailbox_->post([&ran, i] { ran.push_back(i); }));
  EXPECT_FALSE(mailbox_->isEmpty());
  EXPECT_EQ(runAll(), 5U);
  EXPECT_TRUE(mailbox_->isEmpty());
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(runAll(), 0U);
}

TEST_F(MailboxTest, Post_onlyTheFirstOfABatchWakes) {
  for (int i = 0; i < 100; ++i) mailbox_->post([] {});
  EXPECT_EQ(proactor_.wakes, 1);
  runAll();
  mailbox_->post([] {});
  EXPECT_EQ(proactor_.wakes, 2);
}

TEST_F(MailboxTest, Post_afterClose_saysNoAndDestroysTheFunctorHere) {
  mailbox_->close();
  auto token = std::make_shared<int>(1);
  EXPECT_FALSE(mailbox_->post([token] {}));
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_EQ(proactor_.wakes, 0);
  EXPECT_TRUE(mailbox_->isEmpty());
}

TEST_F(MailboxTest, Close_whatWasAcceptedIsStillThere) {
  int ran = 0;
  mailbox_->post([&ran] { ++ran; });
  mailbox_->close();
  EXPECT_EQ(runAll(), 1U);
  EXPECT_EQ(ran, 1);
}

// A functor that was refused is destroyed where it may well post again.
TEST_F(MailboxTest, Post_fromTheDestructorOfARefusedFunctor_saysNoToo) {
  struct PostsAgain {
    RefPtr<Mailbox> mailbox;
    bool* said;
    ~PostsAgain() {
      *said = mailbox->post([] {});
    }
  };
  bool said = true;
  mailbox_->close();
  mailbox_->post([again = std::make_unique<PostsAgain>(PostsAgain{mailbox_, &said})] {});
  EXPECT_FALSE(said);
}

TEST_F(MailboxTest, Post_whileAnotherThreadCloses_eachIsTakenOrRefused) {
  constexpr int kThreads = 4;
  std::atomic<int> accepted{0};
  std::atomic<int> refused{0};
  std::atomic<int> ran{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      while (refused < 1000) ++(mailbox_->post([&ran] { ++ran; }) ? accepted : refused);
    });
  }
  while (accepted < 1000) runAll();
  mailbox_->close();
  for (std::thread& thread : threads) thread.join();
  runAll();
  EXPECT_EQ(ran, accepted);
}

}  // namespace
}  // namespace gyre
