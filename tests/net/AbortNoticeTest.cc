// From the request to abort on, no callback claims anything but the end: input and output that were
// dropped are neither "all delivered" nor "all sent".
#include <functional>
#include <stdexcept>
#include <string>

#include "support/ConformanceWorld.h"
#include "support/NotingFixture.h"

namespace gyre {
namespace {

constexpr std::size_t kAtOnce = 16 * 1024;  // the kernel is offered so much inside send()

class AbortNoticeTest : public NotingFixture {
 protected:
  void startWith(const std::function<void(const TcpConnectionPtr&)>& end,
                 const ConnectionOptions& options = {}) {
    start(noting({.options = options,
                  .onUp = [](const TcpConnectionPtr& connection) { connection->stopRead(); },
                  .onMessage =
                      [end](const TcpConnectionPtr& connection, Buffer& in) {
                        in.retrieve(1);
                        end(connection);
                      },
                  .onWriteComplete = [](const TcpConnectionPtr&) {},
                  .onHighWater = [](const TcpConnectionPtr&, std::size_t) {},
                  .onHalfClose =
                      [](const TcpConnectionPtr& connection) {
                        connection->shutdown();  // a server that stores an upload commits it here
                      }}));
  }
  // As startWith(), but the first message callback stops reading and leaves bytes: the second,
  // which ends the connection, runs in a flush of kept bytes.
  void startWithKept(const std::function<void(const TcpConnectionPtr&)>& end,
                     const ConnectionOptions& options = {}) {
    startWith(
        [end, isFirst = true](const TcpConnectionPtr& connection) mutable {
          if (!std::exchange(isFirst, false)) return end(connection);
          connection->stopRead();
        },
        options);
  }
  // The bytes and the FIN behind them are there before anything is read: one batch.
  Peer upload() {
    Peer peer = connect();
    EXPECT_TRUE(runUntilUp(1));
    settle();
    EXPECT_TRUE(peer.send("an upload"));
    peer.halfClose();
    connection_->startRead();
    EXPECT_TRUE(runUntilClosed(1));
    return peer;
  }
  void uploadInTwo() {
    Peer peer = connect();
    ASSERT_TRUE(runUntilUp(1));
    connection_->startRead();
    ASSERT_TRUE(peer.send("an up"));
    ASSERT_TRUE(runUntil([&] { return count(CallbackKind::Message) == 1; }));
    ASSERT_TRUE(peer.send("load"));
    peer.halfClose();
    settle();
    connection_->startRead();
    ASSERT_TRUE(runUntilClosed(1));
  }
  void expectNothingClaimed(CloseReason reason, std::size_t messages = 1) {
    EXPECT_EQ(reason_, reason);
    EXPECT_EQ(count(CallbackKind::Message), messages);
    EXPECT_EQ(count(CallbackKind::HalfClose), 0U) << "a part was taken for the whole";
    EXPECT_EQ(count(CallbackKind::HighWater), 0U);
    EXPECT_EQ(count(CallbackKind::WriteComplete), 0U);
  }
};

TEST_F(AbortNoticeTest, ForceClose_amidAnUpload_isNoHalfClose) {
  startWith([](const TcpConnectionPtr& connection) { connection->forceClose(); });
  upload();
  expectNothingClaimed(CloseReason::Aborted);
}

TEST_F(AbortNoticeTest, ForceCloseWith_amidAnUpload_isNoHalfClose) {
  startWith([](const TcpConnectionPtr& connection) { connection->forceCloseWith(EBADMSG); });
  upload();
  expectNothingClaimed(CloseReason::Error);
  EXPECT_EQ(error_, EBADMSG);
}

TEST_F(AbortNoticeTest, Throw_amidAnUpload_isNoHalfClose) {
  startWith([](const TcpConnectionPtr&) { throw std::runtime_error("a handler failed"); });
  upload();
  expectNothingClaimed(CloseReason::CallbackFailed);
}

TEST_F(AbortNoticeTest, OutputLimit_amidAnUpload_isNoHalfClose) {
  startWith([](const TcpConnectionPtr& connection) { connection->send("more than a byte"); },
            {.outputLimit = 1, .outputPolicy = OutputPolicy::Close});
  upload();
  expectNothingClaimed(CloseReason::OutputLimit);
}

TEST_F(AbortNoticeTest, ForceClose_whileKeptBytesAreDelivered_isNoHalfClose) {
  startWithKept([](const TcpConnectionPtr& connection) { connection->forceClose(); });
  uploadInTwo();
  expectNothingClaimed(CloseReason::Aborted, 2);
}

TEST_F(AbortNoticeTest, ForceClose_afterMuchWasQueued_isNoHighWater) {
  startWithKept(
      [](const TcpConnectionPtr& connection) {
        connection->send("more than a byte");
        connection->forceClose();
      },
      {.highWaterMark = 1});
  uploadInTwo();
  expectNothingClaimed(CloseReason::Aborted, 2);
}

TEST_F(AbortNoticeTest, ForceClose_afterAllWasTakenAtOnce_isNoWriteComplete) {
  startWithKept([](const TcpConnectionPtr& connection) {
    connection->send(std::string_view(patternBytes(kAtOnce)));
    connection->forceClose();
  });
  uploadInTwo();
  expectNothingClaimed(CloseReason::Aborted, 2);
}

}  // namespace
}  // namespace gyre
