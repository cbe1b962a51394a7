#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gyre/loop/EventLoop.h"
#include "gyre/loop/LoopCall.h"

namespace gyre {
namespace {

class LoopCallTest : public testing::Test {
 protected:
  RefPtr<LoopCall> makeCall(Functor functor) { return makeRef<LoopCall>(std::move(functor)); }
  RefPtr<LoopCall> makeNamed(char name) {
    return makeCall([this, name] { ran_ += name; });
  }
  void queue(char name) {
    loop_->queueInLoop([this, name] { ran_ += name; });
  }
  bool post(const RefPtr<LoopCall>& call) { return mailbox_->post(*call); }
  void run() { loop_->runOnce(kNoWait); }

  std::string ran_;
  std::optional<EventLoop> loop_{std::in_place};
  const RefPtr<Mailbox> mailbox_ = loop_->mailbox();
};

TEST_F(LoopCallTest, Post_runsLaterAndOnce) {
  const RefPtr<LoopCall> call = makeNamed('c');
  EXPECT_TRUE(post(call));
  EXPECT_EQ(ran_, "");
  run();
  run();
  EXPECT_EQ(ran_, "c");
  EXPECT_TRUE(post(call));
  run();
  EXPECT_EQ(ran_, "cc");
}

TEST_F(LoopCallTest, Post_amongFunctors_isInTheOrderOfPosting) {
  const RefPtr<LoopCall> first = makeNamed('A');
  const RefPtr<LoopCall> second = makeNamed('B');
  const RefPtr<LoopCall> last = makeNamed('C');
  post(first);
  queue('1');
  queue('2');
  post(second);
  queue('3');
  post(last);
  run();
  EXPECT_EQ(ran_, "A12B3C");
}

TEST_F(LoopCallTest, Post_whileItWaits_addsNothingAndKeepsItsPlace) {
  const RefPtr<LoopCall> call = makeNamed('c');
  post(call);
  queue('1');
  EXPECT_TRUE(post(call));
  run();
  run();
  EXPECT_EQ(ran_, "c1");
}

TEST_F(LoopCallTest, Post_fromItself_runsAgainInTheNextIteration) {
  RefPtr<LoopCall> call;
  call = makeCall([&] {
    ran_ += 'c';
    if (ran_.size() < 3) post(call);
  });
  post(call);
  run();
  EXPECT_EQ(ran_, "c");
  run();
  run();
  run();
  EXPECT_EQ(ran_, "ccc");
}

// As the destructor of a server does, in a functor that was posted before.
TEST_F(LoopCallTest, AFunctorThatRunsTheLoop_runsTheCallsBehindItOnce) {
  const RefPtr<LoopCall> call = makeNamed('c');
  loop_->queueInLoop([this] {
    ran_ += '(';
    run();
    ran_ += ')';
  });
  queue('1');
  post(call);
  queue('2');
  run();
  run();
  EXPECT_EQ(ran_, "(1c2)");
}

TEST_F(LoopCallTest, Functor_thatThrows_isCountedAndTheOthersRun) {
  const RefPtr<LoopCall> bad = makeCall([] { throw std::string("no std::exception"); });
  const RefPtr<LoopCall> good = makeNamed('g');
  post(bad);
  post(good);
  run();
  EXPECT_EQ(ran_, "g");
  EXPECT_EQ(loop_->counters().callbackFailures.get(), 1U);
}

TEST_F(LoopCallTest, Posted_keepsItselfAlive) {
  auto token = std::make_shared<int>(1);
  post(makeCall([this, token] { ran_ += 'c'; }));
  EXPECT_EQ(token.use_count(), 2);
  run();
  EXPECT_EQ(ran_, "c");
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(LoopCallTest, Disarm_letsGoAndNeverRuns) {
  auto token = std::make_shared<int>(1);
  const RefPtr<LoopCall> call = makeCall([this, token] { ran_ += 'c'; });
  post(call);
  call->disarm();
  EXPECT_EQ(token.use_count(), 1);
  post(call);
  queue('1');
  run();
  EXPECT_EQ(ran_, "1");
}

TEST_F(LoopCallTest, Disarm_fromItself_letsGoWhenItReturns) {
  auto token = std::make_shared<int>(1);
  RefPtr<LoopCall> call;
  call = makeCall([&, token] {
    call->disarm();
    ran_ += std::to_string(*token);  // what it captured is still there
  });
  post(call);
  run();
  EXPECT_EQ(ran_, "1");
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(LoopCallTest, LoopsEnd_runsWhatWasPosted_andSaysNoAfterwards) {
  const RefPtr<LoopCall> call = makeNamed('c');
  RefPtr<LoopCall> late;
  late = makeCall([&] { ran_ += post(late) ? 'y' : 'n'; });
  post(call);
  post(late);
  loop_.reset();
  EXPECT_EQ(ran_, "cyn") << "run while the loop ended, and once more at its end";
  EXPECT_FALSE(post(call));
}

TEST_F(LoopCallTest, Post_byManyThreads_theRunSeesWhatEachDidBefore) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  // Relaxed: that the last run sees the last value is the post's doing.
  std::array<std::atomic<int>, kThreads> done{};
  std::array<bool, kThreads> isSeen{};
  std::vector<RefPtr<LoopCall>> calls;
  for (std::size_t t = 0; t < kThreads; ++t) {
    calls.push_back(makeCall([&, t] {
      isSeen[t] = done[t].load(std::memory_order_relaxed) == kPosts;
      if (std::all_of(isSeen.begin(), isSeen.end(), std::identity())) loop_->quit();
    }));
  }
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i <= kPosts; ++i) {
        done[t].store(i, std::memory_order_relaxed);
        post(calls[t]);
      }
    });
  }
  loop_->loop();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace gyre
