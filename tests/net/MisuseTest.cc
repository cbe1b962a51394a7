// MisuseTest: what belongs before the start, or on the loop's thread, is a CHECK elsewhere, with a
// sentence that names the call and says what to do instead.
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gyre/client/TcpClient.h"
#include "gyre/loop/EventLoopThread.h"
#include "gyre/loop/SignalWatcher.h"
#include "gyre/names/Resolver.h"
#include "gyre/proactor/EngineReport.h"
#include "gyre/server/Acceptor.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

constexpr const char* kOtherThread = "another thread";

template <typename Object>
struct Call {
  std::string name;
  std::function<void(Object&)> make;
};

// In the process of the test, which stays as it was: a child that dies at once needs no thread.
class MisuseTest : public ServerFixture {
 protected:
  MisuseTest() { GTEST_FLAG_SET(death_test_style, "fast"); }

  template <typename Object>
  void expectEach(const std::vector<Call<Object>>& calls, Object& object,
                  const std::string& sentence) {
    for (const Call<Object>& call : calls) {
      const std::string named = sentence.empty() ? call.name + " was called after" : sentence;
      EXPECT_DEATH(call.make(object), named) << call.name;
    }
  }
};

template <typename Object>
std::vector<Call<Object>> callbackSetters() {
  const auto ignore = [](const TcpConnectionPtr&) {};
  return {
      {"setConnectionOptions", [](Object& o) { o.setConnectionOptions({}); }},
      {"setConnectionCallback", [=](Object& o) { o.setConnectionCallback(ignore); }},
      {"setMessageCallback", [](Object& o) { o.setMessageCallback(echo); }},
      {"setWriteCompleteCallback", [=](Object& o) { o.setWriteCompleteCallback(ignore); }},
      {"setHighWaterMarkCallback",
       [](Object& o) { o.setHighWaterMarkCallback([](const TcpConnectionPtr&, auto) {}, 1); }},
      {"setHalfCloseCallback", [=](Object& o) { o.setHalfCloseCallback(ignore); }},
      {"setCloseCallback", [=](Object& o) { o.setCloseCallback(ignore); }},
  };
}

TEST_F(MisuseTest, Server_settersAfterTheStart) {
  std::vector<Call<TcpServer>> calls = callbackSetters<TcpServer>();
  const std::vector<Call<TcpServer>> others = {
      {"setDrainCallback", [](TcpServer& s) { s.setDrainCallback([](const auto&) {}); }},
      {"setThreadNum", [](TcpServer& s) { s.setThreadNum(2); }},
      {"setThreadInitCallback", [](TcpServer& s) { s.setThreadInitCallback({}); }},
      {"setCpus", [](TcpServer& s) { s.setCpus({0}); }},
      {"setLoops", [](TcpServer& s) { s.setLoops({}); }},
      {"addListener", [](TcpServer& s) { s.addListener(InetAddress::loopback(0)); }},
      {"addListener", [](TcpServer& s) { s.addListener(UniqueFd()); }},
      {"setListenOptions", [](TcpServer& s) { s.setListenOptions({}); }},
      {"setAcceptMode", [](TcpServer& s) { s.setAcceptMode(AcceptMode::EveryLoop); }},
      {"setLimits", [](TcpServer& s) { s.setLimits({}); }},
      {"setAcceptFilter", [](TcpServer& s) { s.setAcceptFilter({}); }},
      {"setPlacement", [](TcpServer& s) { s.setPlacement(Placement::RoundRobin); }},
      {"setPlacement", [](TcpServer& s) { s.setPlacement(PlacementCallback()); }},
  };
  calls.insert(calls.end(), others.begin(), others.end());
  start();
  expectEach(calls, *server(), "");
  const std::vector<Call<EventLoopThreadPool>> ofThePool = {
      {"setThreadNum", [](EventLoopThreadPool& p) { p.setThreadNum(1); }},
      {"setCpus", [](EventLoopThreadPool& p) { p.setCpus({}); }},
      {"setLoops", [](EventLoopThreadPool& p) { p.setLoops({}); }},
  };
  expectEach(ofThePool, server()->pool(), "");
  EXPECT_DEATH(server()->setMessageCallback({}),
               "setMessageCallback was called after start\\(\\): "
               "call it before, or give a connection another "
               "profile");
}

TEST_F(MisuseTest, Client_settersAfterConnect) {
  std::vector<Call<TcpClient>> calls = callbackSetters<TcpClient>();
  calls.push_back({"setConnectOptions", [](TcpClient& c) { c.setConnectOptions({}); }});
  calls.push_back({"setConnectFailedCallback",
                   [](TcpClient& c) { c.setConnectFailedCallback([](const auto&) {}); }});
  TcpClient client(&loop(), InetAddress::loopback(1), "client");
  client.connect();
  expectEach(calls, client, "");
  client.stop();
  expectEach(calls, client, "");
}

TEST_F(MisuseTest, Connection_callsOnAnotherThread) {
  std::promise<TcpConnectionPtr> up;
  start({.threads = 1, .onUp = [&](const TcpConnectionPtr& connection) {
           connection->setContext(7);
           up.set_value(connection);
         }});
  const Peer peer = connect();
  ASSERT_TRUE(runUntilUp(1));
  const TcpConnectionPtr connection = up.get_future().get();
  const RefPtr<ConnectionProfile> profile = server()->makeProfile();
  const std::vector<Call<TcpConnection>> calls = {
      {"context", [](TcpConnection& c) { c.context(); }},
      {"context<T>", [](TcpConnection& c) { c.context<int>(); }},
      {"setContext", [](TcpConnection& c) { c.setContext(8); }},
      {"emplaceContext", [](TcpConnection& c) { c.emplaceContext<int>(9); }},
      {"setProfile", [=](TcpConnection& c) { c.setProfile(profile); }},
      {"setTimeouts", [](TcpConnection& c) { c.setTimeouts({}); }},
      {"setTcpNoDelay", [](TcpConnection& c) { c.setTcpNoDelay(true); }},
      {"forceCloseWith", [](TcpConnection& c) { c.forceCloseWith(1); }},
      {"closeReason", [](TcpConnection& c) { c.closeReason(); }},
      {"error", [](TcpConnection& c) { static_cast<void>(c.error()); }},
      {"bytesReceived", [](TcpConnection& c) { c.bytesReceived(); }},
      {"bytesSent", [](TcpConnection& c) { c.bytesSent(); }},
#ifndef NDEBUG
      {"loop", [](TcpConnection& c) { c.loop(); }},
      {"inputBytes", [](TcpConnection& c) { c.inputBytes(); }},
      {"outputBytes", [](TcpConnection& c) { c.outputBytes(); }},
      {"isReading", [](TcpConnection& c) { static_cast<void>(c.isReading()); }},
      {"profile", [](TcpConnection& c) { static_cast<void>(c.profile()); }},
      {"timeouts", [](TcpConnection& c) { static_cast<void>(c.timeouts()); }},
#endif
  };
  expectEach(calls, *connection, kOtherThread);
  // What is for every thread, and what the loop's end makes so.
  EXPECT_TRUE(connection->connected());
  connection->forceClose();
  ASSERT_TRUE(runUntilClosed(1));
  endServer();
  EXPECT_EQ(connection->context<int>(), nullptr);
  EXPECT_EQ(connection->closeReason(), CloseReason::Aborted);
}

TEST_F(MisuseTest, Loop_callsOnAnotherThread) {
  EventLoopThread thread({.proactor = testProactorOptions()});
  EventLoop* other = thread.startLoop();
  const std::vector<Call<EventLoop>> calls = {
      {"loop", [](EventLoop& l) { l.loop(); }},
      {"runOnce", [](EventLoop& l) { l.runOnce(kNoWait); }},
      {"setSlowCallbackLimit", [](EventLoop& l) { l.setSlowCallbackLimit({}); }},
      {"setTimeoutTick", [](EventLoop& l) { l.setTimeoutTick(std::chrono::seconds(1)); }},
      {"isDispatching", [](EventLoop& l) { static_cast<void>(l.isDispatching()); }},
      {"visitResidents", [](EventLoop& l) { l.visitResidents(nullptr, {}); }},
      {"closeResidents", [](EventLoop& l) { l.closeResidents(nullptr); }},
      {"assertInLoopThread", [](EventLoop& l) { l.assertInLoopThread(); }},
      {"SignalWatcher::watch", [](EventLoop& l) { SignalWatcher::watch(&l, {SIGUSR1}, {}); }},
      {"Resolver", [](EventLoop& l) { Resolver resolver(&l); }},
      {"Acceptor::pause", [](EventLoop& l) { Acceptor(&l, {}).pause(); }},
      {"Acceptor::resume", [](EventLoop& l) { Acceptor(&l, {}).resume(); }},
      {"Acceptor::beginClose", [](EventLoop& l) { Acceptor(&l, {}).beginClose(); }},
  };
  expectEach(calls, *other, kOtherThread);
}

TEST_F(MisuseTest, ServerAndClientOfAnotherThread) {
  EventLoopThread thread({.proactor = testProactorOptions()});
  EventLoop* other = thread.startLoop();
  const std::vector<Call<TcpServer>> ofAServer = {
      {"start", [](TcpServer& s) { s.start(); }},
      {"listenerDescriptors", [](TcpServer& s) { s.listenerDescriptors(); }},
      {"keepUnixPaths", [](TcpServer& s) { s.keepUnixPaths(); }},
  };
  auto server = std::make_unique<TcpServer>(other, InetAddress::loopback(0), "remote");
  expectEach(ofAServer, *server, kOtherThread);
  EXPECT_DEATH(server.reset(), kOtherThread);
  auto client = std::make_unique<TcpClient>(other, InetAddress::loopback(1), "remote");
  const std::vector<Call<TcpClient>> ofAClient = {
      {"state", [](TcpClient& c) { c.state(); }},
      {"makeProfile", [](TcpClient& c) { c.makeProfile(); }},
  };
  expectEach(ofAClient, *client, kOtherThread);
  std::promise<void> ended;
  other->queueInLoop([&] {
    server.reset();
    client.reset();
    ended.set_value();
  });
  ended.get_future().wait();
}

TEST_F(MisuseTest, Resolver_onAnotherThread_andOfAnotherLoop) {
  EventLoopThread thread({.proactor = testProactorOptions()});
  EventLoop* other = thread.startLoop();
  std::unique_ptr<Resolver> resolver;
  std::promise<void> done;
  other->queueInLoop([&] {
    resolver = std::make_unique<Resolver>(other);
    done.set_value();
  });
  done.get_future().wait();
  const std::vector<Call<Resolver>> calls = {
      {"resolve",
       [](Resolver& r) {
         r.resolve({"localhost", 1}, {});
       }},
      {"cancel", [](Resolver& r) { r.cancel(ResolveId::NoQuery); }},
      {"pendingCount", [](Resolver& r) { static_cast<void>(r.pendingCount()); }},
  };
  expectEach(calls, *resolver, kOtherThread);
  EXPECT_DEATH(resolver.reset(), kOtherThread);
  EXPECT_DEATH(TcpClient(&loop(), resolver.get(), {"localhost", 1}, "client"),
               "resolver of another loop");
  std::promise<void> ended;
  other->queueInLoop([&] {
    resolver.reset();
    ended.set_value();
  });
  ended.get_future().wait();
}

TEST_F(MisuseTest, LoopThread_destroyedByItself) {
  EXPECT_DEATH(
      {
        auto thread = std::make_unique<EventLoopThread>(LoopThreadOptions{});
        EventLoop* other = thread->startLoop();
        std::promise<void> never;
        other->queueInLoop([&] { thread.reset(); });
        never.get_future().wait();
      },
      "its loop's own thread");
}

// --- Engines

ProactorOptions optionsOf(Engine engine) {
  ProactorOptions options;
  options.engine = engine;
  return options;
}

bool hasUring() { return inspectUring(optionsOf(Engine::Uring)).usable; }

TEST_F(MisuseTest, Workers_haveTheEngineOfTheBaseLoop_whicheverThatIs) {
  for (const Engine engine : {Engine::Epoll, Engine::Uring}) {
    if (engine == Engine::Uring && !hasUring()) GTEST_SKIP() << "io_uring is not available";
    EventLoop base(makeProactor(optionsOf(engine)));
    EXPECT_EQ(base.options().engine, engine);
    EventLoopThreadPool pool(&base, "pool");
    pool.setThreadNum(1);
    pool.start();
    EventLoop* worker = pool.getNextLoop();
    EXPECT_EQ(worker->proactor().name(), base.proactor().name());
    EXPECT_TRUE(worker->sharesSocketsWith(base));
  }
}

TEST_F(MisuseTest, LoopsOfAnotherEngine_areRefusedAtTheStart) {
  if (!hasUring()) GTEST_SKIP() << "io_uring is not available";
  EventLoopThread thread({.proactor = optionsOf(Engine::Epoll)});
  EventLoop* epoll = thread.startLoop();
  EventLoop base(optionsOf(Engine::Uring));
  EXPECT_FALSE(base.sharesSocketsWith(*epoll));
  TcpServer server(&base, InetAddress::loopback(0), "mixed");
  server.setLoops({epoll});
  EXPECT_DEATH(server.start(), "another engine than the base loop");
  server.setLoops({nullptr});
  EXPECT_DEATH(server.start(), "null pointer for a loop");
}

TEST_F(MisuseTest, Loop_withoutAnEngine_orWithOneOfAnotherThread) {
  EXPECT_DEATH(EventLoop(std::unique_ptr<Proactor>()), "no engine");
  std::unique_ptr<Proactor> foreign;
  std::thread([&] { foreign = makeProactor(optionsOf(Engine::Epoll)); }).join();
  EXPECT_DEATH(EventLoop(std::move(foreign)), "engine of another thread");
}

TEST_F(MisuseTest, LoopThread_withoutOptions_followsTheEnvironmentAsALoopDoes) {
  EXPECT_EQ(LoopThreadOptions().proactor.engine, defaultProactorOptions().engine);
}

// --- The context

struct Session {
  std::string name;
};
struct Pinned {
  explicit Pinned(int n) : number(n) {}
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  int number;
};

TEST_F(MisuseTest, Context_isFoundHoweverItWasGiven) {
  bool isUp = false;
  start({.onUp = [&](const TcpConnectionPtr& connection) {
    TcpConnection& c = *connection;
    EXPECT_EQ(c.context<Session>(), nullptr);
    c.setContext(Session{"value"});
    ASSERT_NE(c.context<Session>(), nullptr);
    EXPECT_EQ(c.context<Session>()->name, "value");
    EXPECT_EQ(c.context<int>(), nullptr);
    c.context<Session>()->name += " changed";
    EXPECT_EQ(std::any_cast<Session&>(c.context()).name, "value changed");
    const auto shared = std::make_shared<Session>(Session{"shared"});
    c.setContext(shared);
    EXPECT_EQ(c.context<Session>(), shared.get());
    EXPECT_EQ(*c.context<std::shared_ptr<Session>>(), shared);
    EXPECT_EQ(c.emplaceContext<Pinned>(7).number, 7);
    ASSERT_NE(c.context<Pinned>(), nullptr);
    EXPECT_EQ(c.context<Pinned>()->number, 7);
    EXPECT_EQ(c.context<Session>(), nullptr);
    isUp = true;
  }});
  const Peer peer = connect();
  EXPECT_TRUE(runUntil([&] { return isUp; }));
}

}  // namespace
}  // namespace gyre
