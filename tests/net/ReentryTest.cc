// Calling the connection from inside its own callbacks: whatever, from whichever.
#include <stdexcept>
#include <vector>

#include "support/ServerFixture.h"

namespace gyre {
namespace {

constexpr CallbackKind kKinds[] = {CallbackKind::Up,        CallbackKind::Message,
                                   CallbackKind::HighWater, CallbackKind::WriteComplete,
                                   CallbackKind::HalfClose, CallbackKind::Down,
                                   CallbackKind::Close};

struct Action {
  const char* name;
  void (*run)(const TcpConnectionPtr& connection);
};

constexpr Action kActions[] = {
    {"send", [](const TcpConnectionPtr& c) { c->send(std::string(10'000, 's')); }},
    {"forceClose", [](const TcpConnectionPtr& c) { c->forceClose(); }},
    {"send and forceClose",
     [](const TcpConnectionPtr& c) {
       c->send("lost");
       c->forceClose();
     }},
    {"shutdown", [](const TcpConnectionPtr& c) { c->shutdown(); }},
    {"shutdown and forceClose",
     [](const TcpConnectionPtr& c) {
       c->shutdown();
       c->forceClose();
     }},
    {"shutdownWrite", [](const TcpConnectionPtr& c) { c->shutdownWrite(); }},
    {"stopRead", [](const TcpConnectionPtr& c) { c->stopRead(); }},
    {"stopRead and startRead",
     [](const TcpConnectionPtr& c) {
       c->stopRead();
       c->startRead();
     }},
    {"setContext and setTcpNoDelay",
     [](const TcpConnectionPtr& c) {
       c->setContext(std::string("mine"));
       c->setTcpNoDelay(false);
     }},
};

class ReentryTest : public ServerFixture {
 protected:
  // A server of which every callback comes, for a peer that talks and half-closes. The one of
  // `kind` of the first connection runs `action` at its end.
  ServerScript everyCallback(CallbackKind kind,
                             std::function<void(const TcpConnectionPtr&)> action) {
    const auto at = [kind, action](CallbackKind here, const TcpConnectionPtr& connection) {
      if (here == kind && connection->id() == 1) action(connection);
    };
    ServerScript script;
    script.options.highWaterMark = 1000;
    script.onUp = [at](const auto& connection) { at(CallbackKind::Up, connection); };
    script.onMessage = [at](const auto& connection, Buffer& in) {
      in.retrieveAll();
      connection->send(std::string(64'000, 'a'));
      at(CallbackKind::Message, connection);
    };
    script.onHighWater = [at](const auto& connection, std::size_t) {
      at(CallbackKind::HighWater, connection);
    };
    script.onWriteComplete = [this, at](const auto& connection) {
      // Once: a send in it would make the next one, for ever.
      if (count(CallbackKind::WriteComplete) == 0) at(CallbackKind::WriteComplete, connection);
    };
    script.onHalfClose = [at](const auto& connection) {
      connection->shutdown();
      at(CallbackKind::HalfClose, connection);
    };
    script.onDown = [at](const auto& connection) { at(CallbackKind::Down, connection); };
    script.onClose = [this, at](const auto& connection) {
      if (connection->id() == 1) reason_ = connection->closeReason();
      at(CallbackKind::Close, connection);
    };
    return script;
  }

  // Goes through the life of a connection; some peers never hear of their end, and reset.
  void liveThrough() {
    Peer peer = connect();
    peer.send("go");
    readWhatComes(peer);
    peer.halfClose();
    readWhatComes(peer);
    peer.reset();
    ASSERT_TRUE(runUntilClosed(1));
  }
  void readWhatComes(Peer& peer) {
    std::vector<char> piece(100'000);
    for (int i = 0; i < 8; ++i) {
      runOnce();
      peer.receiveSome(piece);
    }
  }

  CloseReason reason_ = CloseReason::None;
};

TEST_F(ReentryTest, EveryCallback_mayCallEverything) {
  for (const CallbackKind kind : kKinds) {
    for (const Action& action : kActions) {
      SCOPED_TRACE(std::string(action.name) + " inside " + nameOf(kind));
      int calls = 0;
      start(everyCallback(kind, [&](const TcpConnectionPtr& connection) {
        ++calls;
        action.run(connection);
      }));
      liveThrough();
      EXPECT_EQ(calls, 1);
      Peer other = connect();
      EXPECT_TRUE(other.send("and the others?"));
      EXPECT_EQ(other.receive(64'000).size(), 64'000U);
      endServer();
    }
  }
}

TEST_F(ReentryTest, ForceClose_insideACallback_isTheLastOfTheUsersCallbacks) {
  for (const CallbackKind kind : {CallbackKind::Up, CallbackKind::Message, CallbackKind::HighWater,
                                  CallbackKind::WriteComplete, CallbackKind::HalfClose}) {
    SCOPED_TRACE(nameOf(kind));
    std::size_t callsThen = 0;
    const auto calls = [&] {
      std::size_t sum = 0;
      for (const CallbackKind each : kKinds) sum += count(each);
      return sum;
    };
    start(everyCallback(kind, [&](const TcpConnectionPtr& connection) {
      callsThen = calls();
      connection->forceClose();
    }));
    liveThrough();
    EXPECT_EQ(calls() - callsThen, 3U) << "itself, down and close";
    EXPECT_EQ(reason_, CloseReason::Aborted);
    endServer();
  }
}

TEST_F(ReentryTest, ThrowingCallback_abortsItsOwnConnectionOnly) {
  std::uint64_t failures = 0;
  for (const CallbackKind kind : kKinds) {
    SCOPED_TRACE(nameOf(kind));
    start(everyCallback(
        kind, [](const TcpConnectionPtr&) { throw std::runtime_error("thrown on purpose"); }));
    liveThrough();
    EXPECT_EQ(loop().counters().callbackFailures.get(), ++failures);
    const bool wasUp = kind != CallbackKind::Down && kind != CallbackKind::Close;
    EXPECT_EQ(reason_ == CloseReason::CallbackFailed, wasUp);
    Peer other = connect();
    EXPECT_TRUE(other.send("and the others?"));
    EXPECT_EQ(other.receive(64'000).size(), 64'000U);
    endServer();
  }
}

TEST_F(ReentryTest, ThrowingSomethingElse_isTheSame) {
  start(everyCallback(CallbackKind::Message, [](const TcpConnectionPtr&) { throw 42; }));
  liveThrough();
  EXPECT_EQ(loop().counters().callbackFailures.get(), 1U);
  EXPECT_EQ(reason_, CloseReason::CallbackFailed);
}

TEST_F(ReentryTest, Throwing_withAMessageHalfRead_leavesNothingBehind) {
  start({.onMessage = [](const TcpConnectionPtr&, Buffer& in) {
    in.retrieve(1);
    if (in.readableBytes() > 10'000) throw std::runtime_error("thrown on purpose");
  }});
  Peer peer = connect();
  peer.sendUntilStalled(std::string(1'000'000, 'x'));
  ASSERT_TRUE(runUntilClosed(1));
  EXPECT_EQ(loop().counters().callbackFailures.get(), 1U);
}

TEST_F(ReentryTest, CallbackThatClosesAnother_closesBoth) {
  std::vector<TcpConnectionPtr> all;
  start({.onUp = [&](const TcpConnectionPtr& connection) { all.push_back(connection); },
         .onMessage =
             [&](const TcpConnectionPtr&, Buffer& in) {
               in.retrieveAll();
               for (const TcpConnectionPtr& each : all) each->forceClose();
             }});
  std::vector<Peer> peers = connectMany(10);
  // All have something to say in the same batch; only the first gets to.
  for (Peer& peer : peers) peer.sendSome("close all");
  ASSERT_TRUE(runUntilClosed(10));
  EXPECT_EQ(count(CallbackKind::Message), 1U);
}

}  // namespace
}  // namespace gyre
