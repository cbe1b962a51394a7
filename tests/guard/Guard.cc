// gyre_guard: puts loads on servers, so that what a message costs can be counted from outside.
//
//   gyre_guard sim|uring|epoll instructions     under callgrind
//   gyre_guard uring|epoll calls                under strace
//   gyre_guard build                            says what it was built with
//
// guard.py runs it and judges.
#include <gnu/libc-version.h>

#include <cstdio>
#include <exception>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "Counting.h"
#include "World.h"
#include "gyre/gyre.h"
#include "gyre/proactor/EngineReport.h"

namespace gyre::guard {
namespace {

using namespace std::chrono_literals;

// What is exchanged with each of so many peers, so many times.
struct Load {
  std::string name;
  std::size_t peers = 1;
  std::size_t bytes = 64;
  std::size_t rounds = 1;
};

void echo(const TcpConnectionPtr& connection, Buffer& in) { connection->send(in); }

class Guard {
 public:
  Guard(World& world, Counter counter) : world_(world), marks_(counter) {}

  // Simulated time passes as told.
  void countSimulated() {
    countInstructions();
    measureTimeouts();
  }

  // A real engine is posted to by other threads.
  void countReal() {
    countInstructions();
    measureFunctors();
  }

  void countCalls() {
    measure({"message of 64 B on 1 connection", 1, 64, 100});
    measure({"message of 64 B on 50 connections", 50, 64, 10});
    measure({"message of 4 KiB on 50 connections", 50, 4096, 10});
    measurePipelined();
    measureTimers();
    measureFunctors();
  }

 private:
  void countInstructions() {
    measure({"message of 64 B", 32, 64, 20});
    measure({"message of 4 KiB", 32, 4096, 20});
    measure({"message of 256 KiB", 2, 256 * 1024, 10});
    measurePipelined();
    measureConnections();
    measureTimers();
  }

  std::unique_ptr<TcpServer> serve(MessageCallback onMessage,
                                   std::chrono::milliseconds idle = 0ms) {
    auto server = std::make_unique<TcpServer>(&world_.loop(), InetAddress("127.0.0.1:0"), "guard");
    server->setThreadNum(0);
    ConnectionOptions options;
    options.timeouts.idle = idle;
    server->setConnectionOptions(options);
    server->setMessageCallback(std::move(onMessage));
    server->start();
    return server;
  }

  void connect(TcpServer& server, std::size_t peers) {
    world_.connect(server.listenAddress(), peers);
    world_.runUntil([&] { return server.connectionCount() == peers; });
  }

  void disconnect(TcpServer& server) {
    world_.disconnect();
    world_.runUntil([&] { return server.connectionCount() == 0; });
  }

  void exchange(const std::string& text, std::size_t rounds) {
    for (std::size_t i = 0; i < rounds; ++i) world_.exchange(text);
  }

  void measure(const Load& load) {
    const auto server = serve(echo);
    connect(*server, load.peers);
    const std::string text(load.bytes, 'x');
    exchange(text, 10);
    marks_.begin();
    exchange(text, load.rounds);
    marks_.end(load.name, load.peers * load.rounds);
    disconnect(*server);
  }

  // Sixteen frames at a time, taken apart by a codec and answered one by one.
  void measurePipelined() {
    const auto server = serve(
        framed(FixedLengthCodec(64), [](const TcpConnectionPtr& connection,
                                        std::string_view frame) { connection->send(frame); }));
    connect(*server, 8);
    const std::string text(16 * 64, 'x');
    exchange(text, 10);
    marks_.begin();
    exchange(text, 10);
    marks_.end("frame of 64 B, 16 at a time", std::size_t{10} * 8 * 16);
    disconnect(*server);
  }

  // Time passes, so that the wheel turns and asks the connections.
  void measureTimeouts() {
    const auto server = serve(echo, 300ms);
    connect(*server, 32);
    const std::string text(64, 'x');
    exchange(text, 2);
    marks_.begin();
    for (int i = 0; i < 4; ++i) {
      world_.exchange(text);
      bool isOver = false;
      world_.loop().runAfter(100ms, [&isOver] { isOver = true; });
      world_.runUntil([&isOver] { return isOver; });
    }
    marks_.end("message of 64 B with a timeout", std::size_t{4} * 32);
    disconnect(*server);
  }

  void measureConnections() {
    const auto server = serve(echo);
    const std::string text(64, 'x');
    const auto round = [&] {
      connect(*server, 16);
      world_.exchange(text);
      disconnect(*server);
    };
    for (int i = 0; i < 4; ++i) round();
    marks_.begin();
    for (int i = 0; i < 5; ++i) round();
    marks_.end("connection with one message", std::size_t{5} * 16);
  }

  void measureTimers() {
    constexpr int kTimers = 500;
    std::vector<TimerId> timers;
    timers.reserve(kTimers);
    int ran = 0;
    const auto round = [&] {
      {
        const Counted counted;
        for (int i = 0; i < kTimers; ++i) {
          timers.push_back(world_.loop().runAfter(1h, [] {}));
          world_.loop().runAfter(0ms, [&ran] { ++ran; });
        }
        for (const TimerId timer : timers) world_.loop().cancel(timer);
      }
      timers.clear();
      world_.loop().wakeup();
      world_.runUntil([&] { return ran == kTimers; });
      ran = 0;
    };
    round();
    marks_.begin();
    round();
    marks_.end("two timers: one cancelled, one run", kTimers);
  }

  // Posted by another thread while the loop is at work, then run.
  void measureFunctors() {
    constexpr int kFunctors = 500;
    int ran = 0;
    std::binary_semaphore wanted(0);
    std::binary_semaphore posted(0);
    std::jthread thread([&](const std::stop_token& stop) {
      for (wanted.acquire(); !stop.stop_requested(); wanted.acquire()) {
        {
          const Counted counted;
          for (int i = 0; i < kFunctors; ++i) world_.loop().queueInLoop([&ran] { ++ran; });
        }
        posted.release();
      }
    });
    const auto round = [&] {
      ran = 0;
      wanted.release();
      posted.acquire();
      world_.runUntil([&] { return ran == kFunctors; });
    };
    round();
    marks_.begin();
    round();
    marks_.end("functor from another thread", kFunctors);
    thread.request_stop();
    wanted.release();
  }

  World& world_;
  const Marks marks_;
};

constexpr int kUsageError = 2;
constexpr int kSkipped = 77;

// The counts are those of this compiler, its flags, and this libc.
int describeBuild() {
#ifdef __clang__
  const char* const compiler = "clang++ ";
#else
  const char* const compiler = "g++ ";
#endif
  std::printf("%s%s %s, glibc %s\n", compiler, __VERSION__, GYRE_GUARD_FLAGS,
              gnu_get_libc_version());
  return 0;
}

int run(const std::string& engine, const std::string& what) {
  const bool isSim = engine == "sim";
  if (!isSim && engine != "uring" && engine != "epoll") return kUsageError;
  if (what != "instructions" && (what != "calls" || isSim)) return kUsageError;
  if (const EngineReport report = inspectUring({}); engine == "uring" && !report.usable) {
    std::printf("io_uring is not available: %s\n", report.cause.c_str());
    return kSkipped;
  }
  const auto world =
      isSim ? makeSimWorld() : makeKernelWorld(engine == "uring" ? Engine::Uring : Engine::Epoll);
  Guard guard(*world, what == "calls" ? Counter::Strace : Counter::Callgrind);
  if (what == "calls") {
    guard.countCalls();
  } else if (isSim) {
    guard.countSimulated();
  } else {
    guard.countReal();
  }
  return 0;
}

}  // namespace
}  // namespace gyre::guard

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() == 1 && words[0] == "build") return gyre::guard::describeBuild();
    const int status =
        words.size() == 2 ? gyre::guard::run(words[0], words[1]) : gyre::guard::kUsageError;
    if (status == gyre::guard::kUsageError)
      std::fputs("usage: gyre_guard sim|uring|epoll instructions|calls\n", stderr);
    return status;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gyre_guard: %s\n", error.what());
    return 1;
  }
}
