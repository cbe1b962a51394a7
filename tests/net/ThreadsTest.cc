// Who runs where: the main loop accepts, connections are dealt out in turn, and each lives on the
// thread of its loop.
#include <map>
#include <mutex>
#include <set>
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
               connection->send(answer);
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
