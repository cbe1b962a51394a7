// Every form of sending, from the loop's thread and from others: all bytes, in the order of the
// calls.
#include <array>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "support/ConformanceWorld.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

class SendTest : public ServerFixture {
 protected:
  // Keeps the connection; sends by `send` when it comes up.
  void startSending(ConnectionCallback send, int threads = 0) {
    start({.threads = threads, .onUp = [this, send](const TcpConnectionPtr& connection) {
             connection_ = connection;
             if (send) send(connection);
           }});
  }

  TcpConnectionPtr connection_;
  // What callbacks on other threads use: it outlives the server, which ends after the test's body.
  std::mutex mutex_;
  std::vector<TcpConnectionPtr> all_;
};

// All forms, one after the other; what they sent.
std::string sendEveryForm(const TcpConnectionPtr& connection) {
  const std::string small = "|small|";
  const std::string large = patternBytes(100'000);
  Buffer owned;
  owned.append("|an owned buffer|");
  Buffer borrowed = Buffer::borrow(small.data(), small.size());
  Buffer big;
  big.append(large);
  const char raw[] = {'|', '\0', '|'};

  connection->send("a literal");
  connection->send(std::string_view(large));
  connection->send(std::string(small));
  connection->send(std::string(large));
  connection->send(std::make_shared<const std::string>(small));
  connection->send(std::make_shared<const std::string>(large));
  connection->send(owned);
  connection->send(borrowed);
  connection->send(big);
  connection->send(raw, sizeof raw);
  EXPECT_EQ(owned.readableBytes() + borrowed.readableBytes() + big.readableBytes(), 0U)
      << "a buffer is consumed";
  return "a literal" + large + small + large + small + large + "|an owned buffer|" + small + large +
         std::string(raw, sizeof raw);
}

TEST_F(SendTest, EveryForm_onTheLoopsThread_keepsTheOrder) {
  std::string expected;
  startSending([&](const TcpConnectionPtr& connection) { expected = sendEveryForm(connection); });
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  EXPECT_TRUE(peer.receive(expected.size()) == expected);
  settle();
  EXPECT_EQ(connection_->bytesSent(), expected.size());
  EXPECT_EQ(connection_->outputBytes(), 0U);
}

TEST_F(SendTest, EveryForm_fromAnotherThread_keepsTheOrder) {
  startSending({}, 1);
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  const std::string expected = sendEveryForm(connection_);
  EXPECT_TRUE(peer.receive(expected.size()) == expected);
}

TEST_F(SendTest, NothingToSend_sendsNothing) {
  startSending([](const TcpConnectionPtr& connection) {
    Buffer empty;
    connection->send("");
    connection->send(std::string_view());
    connection->send(std::string());
    connection->send(std::make_shared<const std::string>());
    connection->send(std::shared_ptr<const std::string>());
    connection->send(empty);
    connection->send(nullptr, 0);
  });
  const Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  settle();
  EXPECT_EQ(connection_->outputBytes(), 0U);
  EXPECT_EQ(loop().counters().completed(IoKind::Send).get(), 0U);
  EXPECT_EQ(count(CallbackKind::WriteComplete), 0U);
}

TEST_F(SendTest, FourForeignThreads_keepTheOrderOfEachThread) {
  constexpr int kThreads = 4;
  constexpr int kMessages = 2000;
  constexpr std::size_t kSize = 8;
  startSending({}, 1);
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));

  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([this, thread] {
      for (int i = 0; i < kMessages; ++i) {
        // Thread, colon, and six digits.
        connection_->send(std::to_string(thread) + ":" + std::to_string(1'000'000 + i).substr(1));
      }
    });
  }
  const std::string got = peer.receive(kThreads * kMessages * kSize);
  for (std::thread& thread : threads) thread.join();

  std::array<int, kThreads> next{};
  for (std::size_t at = 0; at + kSize <= got.size(); at += kSize) {
    const auto thread = static_cast<std::size_t>(got[at] - '0');
    ASSERT_LT(thread, next.size());
    ASSERT_EQ(std::stoi(got.substr(at + 2, 6)), next[thread]++) << "of thread " << thread;
  }
  EXPECT_EQ(next, (std::array<int, kThreads>{kMessages, kMessages, kMessages, kMessages}));
}

TEST_F(SendTest, Broadcast_to500Connections_isOneCopyForAll) {
  std::vector<TcpConnectionPtr> all;
  start({.onUp = [&](const TcpConnectionPtr& connection) { all.push_back(connection); }});
  std::vector<Peer> peers = connectMany(500);
  const auto news = std::make_shared<const std::string>(patternBytes(20'000));
  loop().runInLoop([&] {
    for (const TcpConnectionPtr& connection : all) connection->send(news);
  });
  for (Peer& peer : peers) ASSERT_TRUE(peer.receive(news->size()) == *news);
  settle();
  EXPECT_EQ(news.use_count(), 1) << "given back once sent";
}

TEST_F(SendTest, Broadcast_toPeersThatDoNotRead_holdsOneCopy) {
  std::vector<TcpConnectionPtr> all;
  start({.onUp = [&](const TcpConnectionPtr& connection) { all.push_back(connection); }});
  const auto news = std::make_shared<const std::string>(patternBytes(16 * 1024 * 1024));
  {
    const std::vector<Peer> peers = connectMany(20);
    loop().runInLoop([&] {
      for (const TcpConnectionPtr& connection : all) connection->send(news);
    });
    settle();
    EXPECT_EQ(news.use_count(), 21);
  }
  ASSERT_TRUE(runUntilClosed(20));
  EXPECT_EQ(news.use_count(), 1);
}

TEST_F(SendTest, BufferOfAMessage_toAnotherConnection_isCopied) {
  // Two loops: the window on lent bytes belongs to one of them.
  start({.threads = 2,
         .onUp =
             [this](const TcpConnectionPtr& connection) {
               const std::lock_guard lock(mutex_);
               all_.push_back(connection);
             },
         .onMessage =
             [this](const TcpConnectionPtr& connection, Buffer& in) {
               const std::lock_guard lock(mutex_);
               for (const TcpConnectionPtr& other : all_) {
                 if (other != connection) other->send(in);
               }
             }});
  std::vector<Peer> peers = connectMany(2);
  const std::string text = patternBytes(200'000);
  for (std::size_t at = 0; at < text.size(); at += 5000) {
    ASSERT_TRUE(peers[0].send(std::string_view(text).substr(at, 5000)));
    ASSERT_EQ(peers[1].receive(5000), text.substr(at, 5000));
  }
}

TEST_F(SendTest, TenThousandSmallSends_areGathered) {
  startSending([](const TcpConnectionPtr& connection) {
    for (int i = 0; i < 10'000; ++i) connection->send("0123456789");
  });
  Peer peer = connect();
  const std::string got = peer.receive(100'000);
  for (std::size_t at = 0; at < got.size(); at += 10) {
    ASSERT_EQ(got.compare(at, 10, "0123456789"), 0) << "at " << at;
  }
  EXPECT_EQ(got.size(), 100'000U);
  EXPECT_LE(loop().counters().completed(IoKind::Send).get(), 4U);
}

TEST_F(SendTest, ManyLargeStrings_moreThanASendTakes_keepTheOrder) {
  std::string expected;
  startSending([&](const TcpConnectionPtr& connection) {
    for (std::size_t i = 0; i < 100; ++i) {
      const std::string piece = patternBytes(8192 + i * 37, i * 1000);
      expected += piece;
      connection->send(std::string(piece));
      if (i % 3 != 0) continue;
      expected += "glue";
      connection->send("glue");
    }
  });
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  EXPECT_TRUE(peer.receive(expected.size()) == expected);
}

// --- At once: what is large enough is offered to the kernel instead of copied

TEST_F(SendTest, LargeSends_manyPeersSomeSlow_keepTheOrderAmongSmallOnes) {
  constexpr int kAnswers = 40;
  const std::string text = patternBytes(60'000);
  std::string expected;
  for (int i = 0; i < kAnswers; ++i) {
    expected += text.substr(0, 3000);
    expected += text.substr(static_cast<std::size_t>(i), 5000 * static_cast<std::size_t>(i % 12));
    expected += "|";
  }
  int answered = 0;
  start({.onMessage = [&](const TcpConnectionPtr& connection, Buffer& in) {
    for (in.retrieve(1);; in.retrieve(1)) {
      const auto size = static_cast<std::size_t>(answered);
      const std::string_view all = text;
      connection->send(all.substr(0, 3000));
      connection->send(all.substr(size, 5000 * (size % 12)));
      connection->send("|");
      ++answered;
      if (in.readableBytes() == 0) return;
    }
  }});
  Peer peer = connect();
  for (int i = 0; i < kAnswers; ++i) ASSERT_TRUE(peer.send("?"));
  EXPECT_TRUE(peer.receive(expected.size()) == expected);
  settle();
  EXPECT_EQ(loop().counters().bytesSent.get(), expected.size());
}

TEST_F(SendTest, LargeAnswer_takenAtOnce_waitsForNoIterationAndIsToldOnce) {
  std::size_t waitingInside = 1;
  start({.onMessage =
             [&](const TcpConnectionPtr& connection, Buffer& in) {
               in.retrieveAll();
               connection->send(std::string_view(patternBytes(8192)));
               waitingInside = connection->outputBytes();
               EXPECT_EQ(count(CallbackKind::WriteComplete), 0U) << "not inside send()";
             },
         .onWriteComplete = [](const TcpConnectionPtr&) {}});
  Peer peer = connect();
  ASSERT_TRUE(peer.send("?"));
  EXPECT_EQ(peer.receive(8192), patternBytes(8192));
  settle();
  EXPECT_EQ(count(CallbackKind::WriteComplete), 1U);
  // A fault of the ring may refuse it: then it is queued like a small one.
  const bool wasQueued = loop().counters().completed(IoKind::Send).get() != 0;
  EXPECT_TRUE(wasQueued || waitingInside == 0);
}

TEST_F(SendTest, PipelinedAnswersOf4KiB_areSentTogether) {
  start({.onMessage = [](const TcpConnectionPtr& connection, Buffer& in) {
    for (; in.readableBytes() != 0; in.retrieve(1)) {
      connection->send(std::string_view(patternBytes(4096)));
    }
  }});
  Peer peer = connect();
  const std::string burst(16, '?');
  ASSERT_TRUE(peer.send(burst));
  EXPECT_EQ(peer.receive(16 * 4096).size(), 16 * 4096U);
  settle();
  EXPECT_LE(loop().counters().directSends.get(), loop().counters().iterations.get());
  EXPECT_LT(loop().counters().directSends.get(), 16U);
}

TEST_F(SendTest, LargeSend_peerHasReset_closesWithTheErrorOnce) {
  startSending({});
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  peer.reset();
  connection_->send(std::string_view(patternBytes(100'000)));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(connection_->closeReason(), CloseReason::Error);
  EXPECT_TRUE(connection_->error() == ECONNRESET || connection_->error() == EPIPE);
}

// --- Write-complete

TEST_F(SendTest, WriteComplete_comesOnceAllWasSent) {
  std::size_t waiting = 1;
  start({.onUp =
             [](const TcpConnectionPtr& connection) {
               connection->send(patternBytes(1'000'000));
               connection->send(patternBytes(1'000'000));
             },
         .onWriteComplete =
             [&](const TcpConnectionPtr& connection) { waiting = connection->outputBytes(); }});
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  EXPECT_EQ(peer.receive(2'000'000).size(), 2'000'000U);
  ASSERT_TRUE(runUntil([&] { return count(CallbackKind::WriteComplete) == 1; }));
  settle();
  EXPECT_EQ(count(CallbackKind::WriteComplete), 1U);
  EXPECT_EQ(waiting, 0U);
}

TEST_F(SendTest, SendInsideWriteComplete_aThousandTimes_doesNotNest) {
  int left = 1000;
  start({.onUp = [](const TcpConnectionPtr& connection) { connection->send("first"); },
         .onWriteComplete =
             [&](const TcpConnectionPtr& connection) {
               if (left-- > 0) connection->send("again");
             }});
  Peer peer = connect();
  EXPECT_EQ(peer.receive(5005).size(), 5005U);
  ASSERT_TRUE(runUntil([&] { return count(CallbackKind::WriteComplete) == 1001; }));
}

}  // namespace
}  // namespace gyre
