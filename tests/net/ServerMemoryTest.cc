// A server and each of its allocations refused in turn: what it says, whom it serves afterwards,
// and what it leaves behind.
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <optional>

#include "gyre/base/UniqueFd.h"
#include "gyre/server/TcpServer.h"
#include "net/EveryAllocation.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

enum class Came { Echo, End, Nothing };

// A server on the test's own loop, and what is done with it. Every step of the loop is a subject.
class ServedRun {
 public:
  ServedRun(RefusedAllocations& refused, int threads, AcceptMode mode = AcceptMode::BaseLoop)
      : refused_(refused), threads_(threads), mode_(mode) {}

  // A client that is connected and served.
  UniqueFd connect() {
    UniqueFd client = makeClient();
    EXPECT_EQ(ask(client), Came::Echo);
    return client;
  }
  // A client that says something: what comes back.
  Came ask() { return ask(makeClient()); }
  Came ask(const UniqueFd& client) {
    bool isSent = false;
    char byte = 'x';
    for (const auto limit = Clock::now() + kPatience; Clock::now() < limit; step()) {
      if (!isSent) isSent = ::send(client.get(), &byte, 1, MSG_NOSIGNAL) == 1;
      const ssize_t got = ::recv(client.get(), &byte, 1, 0);
      if (got == 1) return Came::Echo;
      if (got == 0 || (errno != EAGAIN && errno != ENOTCONN)) return Came::End;
    }
    return Came::Nothing;
  }
  void step() {
    asSubject([&] { loop_->runOnce(loop_->now() + milliseconds(1)); });
  }
  bool runUntil(const std::function<bool()>& isDone) {
    const auto limit = Clock::now() + kPatience;
    bool done = isDone();
    for (; !done && Clock::now() < limit; done = isDone()) step();
    return done;
  }

  // Throws what start() throws.
  void start() {
    asSubject([&] {
      loop_.emplace(testProactorOptions());
      server_.emplace(&*loop_, InetAddress::loopback(0), "memory");
      configure();
      server_->start();
    });
    address_ = server_->listenAddress();
  }
  // Clients that come while memory fails are decided, and one who comes afterwards is served.
  void expectServes(int clients) {
    for (int i = 0; i < clients; ++i) ASSERT_NE(ask(), Came::Nothing) << "a client waits for ever";
    refused_.end();
    EXPECT_EQ(ask(), Came::Echo) << "nobody is served any more";
  }
  void endServer() { server_.reset(); }
  // All that was told of connections is told to its end.
  void expectEnded() {
    server_.reset();
    loop_.reset();
    EXPECT_EQ(ups_, downs_);
    EXPECT_EQ(ups_, closes_);
  }
  TcpServer& server() { return *server_; }

 private:
  UniqueFd makeClient() {
    UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ::connect(client.get(), address_.sockaddrPtr(), address_.length());
    return client;
  }
  void configure() {
    server_->setThreadNum(threads_);
    server_->setAcceptMode(mode_);
    server_->setLimits({.connectionsMax = 100, .connectionsPerAddressMax = 50});
    ConnectionOptions options;
    options.timeouts.idle = milliseconds(60'000);
    server_->setConnectionOptions(options);
    server_->setConnectionCallback([this](const TcpConnectionPtr& connection) {
      ++(connection->connected() ? ups_ : downs_);
    });
    server_->setCloseCallback([this](const TcpConnectionPtr&) { ++closes_; });
    server_->setMessageCallback(
        [](const TcpConnectionPtr& connection, Buffer& in) { connection->send(in); });
  }

  RefusedAllocations& refused_;
  const int threads_;
  const AcceptMode mode_;
  std::optional<EventLoop> loop_;
  std::optional<TcpServer> server_;
  InetAddress address_;
  std::atomic<int> ups_{0};
  std::atomic<int> downs_{0};
  std::atomic<int> closes_{0};
};

class ServerMemoryTest : public EveryAllocationTest {
 protected:
  void startAndServe(const RefusalPlan& plan, int threads, AcceptMode mode = AcceptMode::BaseLoop) {
    const std::size_t runs = refuseEach(plan, [&](RefusedAllocations& refused) {
      ServedRun run(refused, threads, mode);
      refused.begin();
      run.start();
      run.expectServes(2);
      run.expectEnded();
    });
    EXPECT_GT(runs, 10U) << "it needs memory";
  }
  // `end` is called on a server that has a connection.
  std::size_t serveAndEnd(int threads, const std::function<void(ServedRun& run)>& end) {
    return refuseEach({}, [&](RefusedAllocations& refused) {
      ServedRun run(refused, threads);
      run.start();
      const UniqueFd client = run.connect();
      refused.begin();
      end(run);
      refused.end();
      run.expectEnded();
    });
  }
};

TEST_F(ServerMemoryTest, StartAndServe_eitherStartThrowsOrTheNextClientIsServed) {
  startAndServe({}, 0);
}

TEST_F(ServerMemoryTest, StartAndServe_severalInARow) {
  startAndServe({.width = 4, .stride = 5}, 0);
}

TEST_F(ServerMemoryTest, StartAndServe_withThreads) { startAndServe({.stride = 7}, 2); }

TEST_F(ServerMemoryTest, StartAndServe_aListenerPerLoop) {
  startAndServe({.stride = 7, .first = 3}, 2, AcceptMode::EveryLoop);
}

// An end needs no memory: what it posts, waits for and reports was reserved by the start.
TEST_F(ServerMemoryTest, Stop_needsNoMemory) {
  for (const int threads : {0, 1}) {
    const std::size_t runs = serveAndEnd(threads, [](ServedRun& run) {
      bool isDone = false;
      asSubject([&] { run.server().stop([&isDone] { isDone = true; }); });
      EXPECT_TRUE(run.runUntil([&] { return isDone; }));
      EXPECT_EQ(run.server().connectionCount(), 0U);
    });
    EXPECT_EQ(runs, 1U);
  }
}

TEST_F(ServerMemoryTest, Destructor_needsNoMemory) {
  for (const int threads : {0, 1}) {
    const std::size_t runs =
        serveAndEnd(threads, [](ServedRun& run) { asSubject([&] { run.endServer(); }); });
    EXPECT_EQ(runs, 1U);
  }
}

TEST_F(ServerMemoryTest, Drain_ofAConnectionThatStays_needsNoMemory) {
  for (const int threads : {0, 1}) {
    const std::size_t runs = serveAndEnd(threads, [](ServedRun& run) {
      bool isDone = false;
      asSubject([&] { run.server().drain(milliseconds(5), [&isDone] { isDone = true; }); });
      EXPECT_TRUE(run.runUntil([&] { return isDone; }));
    });
    EXPECT_EQ(runs, 1U);
  }
}

}  // namespace
}  // namespace gyre
