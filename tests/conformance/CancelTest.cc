// cancel and cancelAll, on every kind of operation: what is cancelled ends exactly once.
#include <poll.h>

#include <array>
#include <tuple>

#include "support/ConformanceFixture.h"

namespace gyre {
namespace {

using testing::AnyOf;

class CancelConformanceTest
    : public ConformanceFixture,
      public testing::WithParamInterface<std::tuple<ConformanceEngine, IoKind>> {
 protected:
  const ConformanceEngine& engine() const override { return std::get<0>(GetParam()); }
  IoKind kind() const { return std::get<1>(GetParam()); }

  // A socket of the right sort, on which an operation of this kind waits.
  void prepare() {
    switch (kind()) {
      case IoKind::Accept: near_ = std::make_unique<ConformanceSocket>(listen()); return;
      case IoKind::Connect: near_ = std::make_unique<ConformanceSocket>(socket()); return;
      default: {
        Link pair = link(kTinyBuffers);
        near_ = std::make_unique<ConformanceSocket>(std::move(pair.near));
        far_ = std::move(pair.far);
      }
    }
  }

  void start(ConformanceOperation& operation) {
    switch (kind()) {
      case IoKind::Accept: return operation.accept(near_->get());
      case IoKind::Receive: return operation.receive(near_->get());
      case IoKind::ReceiveInto: return operation.receiveInto(near_->get(), buffer_);
      case IoKind::Send: return operation.send(near_->get(), large_);
      case IoKind::Connect: return operation.connect(near_->get(), world().silentAddress());
      default: return operation.poll(near_->get(), POLLHUP);
    }
  }

  // Makes what the operation waits for happen.
  void fulfil() {
    switch (kind()) {
      case IoKind::Accept: far_ = world().connectTo(proactor().localAddress(near_->get())); return;
      case IoKind::Receive:
      case IoKind::ReceiveInto: EXPECT_EQ(far_->sendSome("x"), 1U); return;
      case IoKind::Send: {
        std::string ignored;
        while (far_->receiveSome(ignored, 65536)) {
        }
        return;
      }
      case IoKind::Connect: return;  // nothing will
      default: far_->reset();
    }
  }

  // All that was accepted, so that nothing stays open.
  void closeAccepted(const ConformanceOperation& operation) {
    for (const auto& told : operation.told()) {
      if (kind() == IoKind::Accept && told.socket.isValid()) proactor().close(told.socket);
    }
  }

  void TearDown() override {
    near_.reset();
    far_.reset();
    ConformanceFixture::TearDown();
  }

  const std::string large_ = patternBytes(kSendBytesMax);
  std::array<char, 64> buffer_{};
  std::unique_ptr<ConformanceSocket> near_;
  std::unique_ptr<ConformancePeer> far_;
};

TEST_P(CancelConformanceTest, Cancel_inFlight_endsIt) {
  prepare();
  ConformanceOperation operation(loop());
  start(operation);
  loop().settle();
  EXPECT_TRUE(operation.isInFlight());
  loop().cancel(operation);
  EXPECT_TRUE(operation.told().empty());
  EXPECT_EQ(operation.join().error, ECANCELED);
  loop().settle();
  EXPECT_EQ(operation.told().size(), 1U);
  EXPECT_EQ(loop().counters().completed(kind()).get(), 1U);
}

// One run() is enough, and it does not wait for anything else.
TEST_P(CancelConformanceTest, Cancel_inFlight_endsWithinOneRun) {
  prepare();
  ConformanceOperation operation(loop());
  start(operation);
  loop().settle();
  loop().cancel(operation);
  const TimePoint deadline = proactor().now() + std::chrono::seconds(10);
  for (int i = 0; i < 3 && operation.isInFlight(); ++i) loop().run(deadline);
  EXPECT_FALSE(operation.isInFlight());
  EXPECT_LT(proactor().now(), deadline);
}

TEST_P(CancelConformanceTest, Cancel_beforeItsSubmission_endsItOnce) {
  prepare();
  ConformanceOperation operation(loop());
  start(operation);
  loop().cancel(operation);
  EXPECT_TRUE(operation.told().empty());
  EXPECT_EQ(operation.join().error, ECANCELED);
  loop().settle();
  EXPECT_EQ(operation.told().size(), 1U);
}

TEST_P(CancelConformanceTest, Cancel_twice_endsItOnce) {
  prepare();
  ConformanceOperation operation(loop());
  start(operation);
  loop().settle();
  loop().cancel(operation);
  loop().cancel(operation);
  EXPECT_EQ(operation.join().error, ECANCELED);
  loop().cancel(operation);
  loop().settle();
  EXPECT_EQ(operation.told().size(), 1U);
}

// It has happened, but nobody has been told: it ends with the one or the other, once.
TEST_P(CancelConformanceTest, Cancel_afterItHasHappened_endsItOnce) {
  prepare();
  ConformanceOperation operation(loop());
  start(operation);
  loop().settle();
  fulfil();
  loop().cancel(operation);
  const auto end = operation.join();
  EXPECT_THAT(end.error, AnyOf(0, ECANCELED));
  loop().settle();
  EXPECT_TRUE(operation.hasEnded());
  closeAccepted(operation);
}

TEST_P(CancelConformanceTest, Cancel_notInFlight_doesNothing) {
  prepare();
  ConformanceOperation operation(loop());
  loop().cancel(operation);
  loop().settle();
  EXPECT_TRUE(operation.told().empty());
  start(operation);
  loop().settle();
  EXPECT_TRUE(operation.isInFlight()) << "an earlier cancel must not hit it";
}

TEST_P(CancelConformanceTest, CancelAll_inFlight_endsIt) {
  prepare();
  ConformanceOperation operation(loop());
  start(operation);
  loop().settle();
  loop().cancelAll(near_->get());
  EXPECT_TRUE(operation.told().empty());
  EXPECT_EQ(operation.join().error, ECANCELED);
  EXPECT_EQ(operation.told().size(), 1U);
}

TEST_P(CancelConformanceTest, CancelAll_beforeItsSubmission_endsIt) {
  prepare();
  ConformanceOperation operation(loop());
  start(operation);
  loop().cancelAll(near_->get());
  EXPECT_EQ(operation.join().error, ECANCELED);
  EXPECT_EQ(operation.told().size(), 1U);
}

TEST_P(CancelConformanceTest, CancelAll_besideACancel_endsItOnce) {
  prepare();
  ConformanceOperation operation(loop());
  start(operation);
  loop().settle();
  loop().cancel(operation);
  loop().cancelAll(near_->get());
  EXPECT_EQ(operation.join().error, ECANCELED);
  loop().settle();
  EXPECT_EQ(operation.told().size(), 1U);
}

TEST_P(CancelConformanceTest, CancelAll_nothingInFlight_leavesOthersAlone) {
  prepare();
  ConformanceOperation operation(loop());
  start(operation);
  Link other = link();
  loop().cancelAll(other.near.get());
  loop().settle();
  EXPECT_TRUE(operation.isInFlight());
}

// The context is free again in its own terminal handler; a cancel that was asked for before does
// not hit what is started there.
TEST_P(CancelConformanceTest, Cancel_restartedInItsTerminalHandler_theNewOneLives) {
  prepare();
  ConformanceOperation operation(loop());
  operation.onCompletion = [&](const IoResult&) {
    if (operation.told().size() == 1) start(operation);
  };
  start(operation);
  loop().settle();
  loop().cancel(operation);
  ASSERT_TRUE(loop().runUntil([&] { return !operation.told().empty(); }));
  // A second connect on the socket of an unfinished one is the kernel's to judge.
  if (kind() != IoKind::Connect) {
    loop().settle();
    EXPECT_TRUE(operation.isInFlight());
  }
}

TEST_P(CancelConformanceTest, Cancel_destroyedInItsTerminalHandler_nothingTouchesIt) {
  prepare();
  auto operation = std::make_unique<ConformanceOperation>(loop());
  operation->onCompletion = [&](const IoResult&) { operation.reset(); };
  start(*operation);
  loop().settle();
  ASSERT_NE(operation, nullptr) << "it ended by itself";
  loop().cancel(*operation);
  EXPECT_TRUE(loop().runUntil([&] { return operation == nullptr; }));
  EXPECT_EQ(proactor().operationsInFlight(), 0U);
}

TEST_P(CancelConformanceTest, Cancel_storm_everythingEndsOnce) {
  prepare();
  constexpr int kRounds = 200;
  ConformanceOperation operation(loop());
  for (int i = 0; i < kRounds; ++i) {
    start(operation);
    if (i % 2 == 0) loop().run(kNoWait);
    loop().cancel(operation);
    operation.join();
  }
  loop().settle();
  int ends = 0;
  for (const auto& told : operation.told()) ends += told.more ? 0 : 1;
  EXPECT_EQ(ends, kRounds);
}

std::string cancelName(const testing::TestParamInfo<std::tuple<ConformanceEngine, IoKind>>& info) {
  static constexpr std::array<const char*, kIoKinds> kNames = {
      "None", "Accept", "Receive", "ReceiveInto", "Send", "Connect", "Poll", "Read"};
  return std::get<0>(info.param).name + "_" +
         kNames[static_cast<std::size_t>(std::get<1>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(Engines, CancelConformanceTest,
                         testing::Combine(testing::ValuesIn(conformanceEngines()),
                                          testing::Values(IoKind::Accept, IoKind::Receive,
                                                          IoKind::ReceiveInto, IoKind::Send,
                                                          IoKind::Connect, IoKind::Poll)),
                         cancelName);

}  // namespace
}  // namespace gyre
