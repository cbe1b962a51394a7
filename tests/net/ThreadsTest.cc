// Who runs where: the main loop accepts, connections are dealt out in turn, and each lives on the
// thread of its loop.
#include <array>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/ServerFixture.h"

namespace gyre {
namespace {

class ThreadsTest : public ServerFixture {};

TEST_F(ThreadsTest, FourHundredConnections_onFourLoops_areAHundredEach) {
  std::mutex mutex;
  std::map<EventLoop*, int> dealt;
  start({.threads = 4, .onUp = [&](const TcpConnectionPtr& connection) {
           const std::lock_guard lock(mutex);
           ++dealt[connection->loop()];
         }});
  const std::vector<Peer> peers = connectMany(400);
  EXPECT_EQ(loop().counters().accepts.get(), 400U) << "the main loop accepts";
  EXPECT_EQ(loop().counters().connections.get(), 0U) << "and does nothing else";
  EXPECT_EQ(dealt.size(), 4U);
  for (const auto& [owner, count] : dealt) {
    EXPECT_EQ(count, 100);
    EXPECT_EQ(owner->counters().accepts.get(), 0U);
    EXPECT_EQ(owner->counters().connections.get(), 100U);
  }
}

TEST_F(ThreadsTest, EveryCallback_runsOnTheThreadOfItsLoop) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  const auto note = [&](const TcpConnectionPtr& connection) {
    EXPECT_EQ(connection->loop(), EventLoop::current());
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  };
  const std::string answer(100'000, 'a');
  // The watch compares the threads of all kinds.
  start({.threads = 3,
         .options = {.highWaterMark = 1000},
         .onUp = note,
         .onMessage =
             [&](const TcpConnectionPtr& connection, Buffer& in) {
               in.retrieveAll();
               connection->send(std::string(answer));  // kept, so that it is queued
             },
         .onHalfClose = [](const TcpConnectionPtr& connection) { connection->shutdown(); },
         .onDown = note,
         .onClose = note});
  std::vector<Peer> peers = connectMany(30);
  for (Peer& peer : peers) {
    ASSERT_TRUE(peer.send("?"));
    EXPECT_EQ(peer.receive(answer.size()).size(), answer.size());
    peer.halfClose();
    EXPECT_EQ(peer.receiveToEnd(), "");
  }
  ASSERT_TRUE(runUntilClosed(30));
  for (const CallbackKind kind :
       {CallbackKind::Message, CallbackKind::WriteComplete, CallbackKind::HighWater,
        CallbackKind::HalfClose, CallbackKind::Down, CallbackKind::Close}) {
    EXPECT_EQ(count(kind), 30U) << nameOf(kind);
  }
  EXPECT_EQ(threads.size(), 3U);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

TEST_F(ThreadsTest, NoThreads_everythingRunsOnTheBaseLoop) {
  EventLoop* seen = nullptr;
  start({.threads = 0,
         .onUp = [&](const TcpConnectionPtr& connection) { seen = connection->loop(); }});
  EXPECT_TRUE(echoes());
  EXPECT_EQ(seen, &loop());
}

TEST_F(ThreadsTest, LoopsOfTheUser_areDealtToInTurn) {
  EventLoopThread thread({testProactorOptions(), "own", -1});
  EventLoop* other = thread.startLoop();
  std::mutex mutex;
  std::vector<EventLoop*> order;
  WatchedServer server(loop(), {.onUp = [&](const TcpConnectionPtr& connection) {
                         const std::lock_guard lock(mutex);
                         order.push_back(connection->loop());
                       }});
  server->setLoops({other, &loop()});
  server.start();
  for (std::size_t i = 1; i <= 4; ++i) {
    const Peer peer = connectTo(server.address());
    ASSERT_TRUE(runUntil([&] { return server.watch().count(CallbackKind::Up) == i; }));
  }
  EXPECT_EQ(order, (std::vector<EventLoop*>{other, &loop(), other, &loop()}));
}

TEST_F(ThreadsTest, Ids_areUnique) {
  std::mutex mutex;
  std::set<std::uint64_t> ids;
  start({.threads = 3, .onUp = [&](const TcpConnectionPtr& connection) {
           const std::lock_guard lock(mutex);
           ids.insert(connection->id());
         }});
  { const std::vector<Peer> first = connectMany(100); }
  runUntilClosed(100);
  const std::vector<Peer> second = connectMany(100);
  EXPECT_EQ(ids.size(), 200U);
  EXPECT_FALSE(ids.contains(0));
}

// In all four forms, while the connection echoes and at last closes under their hands.
TEST_F(ThreadsTest, Send_fromFourThreads_keepsTheOrderOfEach) {
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  std::promise<TcpConnectionPtr> isUp;
  start({.threads = 1,
         .onUp = [&](const TcpConnectionPtr& connection) { isUp.set_value(connection); }});
  Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  const TcpConnectionPtr connection = isUp.get_future().get();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([connection, thread] {
      for (int i = 0; i < kLines; ++i) {
        const std::string line = std::to_string(thread) + " " + std::to_string(i) + "\n";
        Buffer buffer;
        buffer.append(line);
        switch (i % 4) {
          case 0: connection->send(std::string_view(line)); break;
          case 1: connection->send(std::string(line)); break;
          case 2: connection->send(std::make_shared<const std::string>(line)); break;
          default: connection->send(buffer); break;
        }
      }
    });
  }
  std::array<int, kThreads> next{};
  std::string line;
  for (int received = 0; received < kThreads * kLines;) {
    const std::string byte = peer.receive(1);
    ASSERT_EQ(byte.size(), 1U);
    line += byte;
    if (byte != "\n") continue;
    std::istringstream words(std::exchange(line, {}));
    int thread = -1;
    int number = -1;
    words >> thread >> number;
    ASSERT_TRUE(thread >= 0 && thread < kThreads);
    ASSERT_EQ(number, next[static_cast<std::size_t>(thread)]++);
    ++received;
  }
  peer.reset();
  for (int i = 0; i < 100; ++i) connection->send("to nobody");
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(runUntilClosed(1));
}

TEST_F(ThreadsTest, RunInLoop_fromAnotherThread_runsOnTheLoopsThread) {
  TcpConnectionPtr kept;
  start({.threads = 1, .onUp = [&](const TcpConnectionPtr& connection) { kept = connection; }});
  const std::vector<Peer> peers = connectMany(1);
  std::atomic<bool> wasHome{false};
  EXPECT_FALSE(kept->isInLoopThread());
  EXPECT_TRUE(kept->queueInLoop([&] { wasHome = kept->isInLoopThread(); }));
  EXPECT_TRUE(runUntil([&] { return wasHome.load(); }));
}

}  // namespace
}  // namespace gyre
