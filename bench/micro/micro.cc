// micro: what functors, timers, the timing wheel and broadcasts cost inside a loop. Prints one line
// of JSON: the best of a few runs, in nanoseconds each.
//
// The programs micro_* beside it print the same of other libraries, as far as they have it.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "Measured.h"
#include "Wheel.h"
#include "gyre/gyre.h"
#include "gyre/loop/EventLoopThread.h"

namespace {

using micro::Clock;
using micro::kFunctors;
using micro::kTimers;
using micro::nanosSince;

constexpr std::chrono::milliseconds kTurn{1};
constexpr std::size_t kMembers = 5000;
constexpr std::size_t kBroadcasts = 40;
constexpr std::size_t kMessageBytes = 1024;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// --- Functors from other threads

double functors(unsigned producers) {
  gyre::EventLoopThread thread({});
  gyre::EventLoop* loop = thread.startLoop();
  std::uint64_t ran = 0;
  std::promise<void> done;
  const std::uint64_t each = kFunctors / producers;
  const std::uint64_t all = each * producers;
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < producers; ++i) {
    threads.emplace_back([loop, each, all, &ran, &done] {
      for (std::uint64_t n = 0; n < each; ++n) {
        loop->queueInLoop([&ran, &done, all] {
          if (++ran == all) done.set_value();
        });
      }
    });
  }
  done.get_future().wait();
  const double nanos = nanosSince(start);
  for (std::thread& producer : threads) producer.join();
  return nanos / static_cast<double>(all);
}

// --- A million timers

micro::TimerCosts timers() {
  gyre::EventLoop loop;
  std::vector<gyre::TimerId> ids;
  ids.reserve(kTimers);
  std::size_t ran = 0;
  micro::Delays delays;
  micro::TimerCosts costs;
  auto start = Clock::now();
  for (std::size_t i = 0; i < kTimers; ++i) {
    ids.push_back(loop.runAfter(delays.next(), [&ran] { ++ran; }));
  }
  loop.runOnce(gyre::kNoWait);
  costs.add = nanosSince(start) / kTimers;

  start = Clock::now();
  for (const gyre::TimerId id : ids) loop.cancel(id);
  loop.runOnce(gyre::kNoWait);
  costs.cancel = nanosSince(start) / kTimers;

  for (std::size_t i = 0; i < kTimers; ++i) loop.runAfter(gyre::Duration{}, [&ran] { ++ran; });
  start = Clock::now();
  while (ran < kTimers) loop.runOnce(gyre::kNoWait);
  costs.run = nanosSince(start) / kTimers;
  return costs;
}

// --- One message to many connections

// Reads and forgets what arrives on its sockets, on a thread of its own.
class Audience {
 public:
  explicit Audience(std::uint16_t port) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (std::size_t i = 0; i < kMembers; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (fd < 0) die("socket");
      if (::connect(fd, reinterpret_cast<sockaddr*>(&server), sizeof server) < 0) die("connect");
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = fd;
      if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
      fds_.push_back(fd);
    }
    reader_ = std::thread([this] { read(); });
  }

  ~Audience() {
    isOver_ = true;
    reader_.join();
    for (const int fd : fds_) ::close(fd);
    ::close(epoll_);
  }

  std::uint64_t bytes() const { return bytes_; }

 private:
  void read() {
    std::array<epoll_event, 512> events;
    std::array<char, 65536> buffer;
    while (!isOver_) {
      const int count = ::epoll_wait(epoll_, events.data(), events.size(), 10);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n > 0) bytes_ += static_cast<std::uint64_t>(n);
      }
    }
  }

  int epoll_;
  std::vector<int> fds_;
  std::thread reader_;
  std::atomic<bool> isOver_{false};
  std::atomic<std::uint64_t> bytes_{0};
};

double threadCpuNanos() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// CPU of the server's loop for each copy that goes out.
double broadcast() {
  gyre::EventLoop loop;
  gyre::TcpServer server(&loop, gyre::InetAddress::loopback(0), "broadcast");
  server.setThreadNum(0);
  std::vector<gyre::TcpConnectionPtr> members;
  server.setConnectionCallback([&members](const gyre::TcpConnectionPtr& connection) {
    if (connection->connected()) members.push_back(connection);
  });
  server.start();
  const std::uint16_t port = server.listenAddress().port();
  std::unique_ptr<Audience> audience;
  std::thread gathering([&audience, port] { audience = std::make_unique<Audience>(port); });
  while (members.size() < kMembers) loop.runOnce(loop.now() + kTurn);
  gathering.join();

  const auto message = std::make_shared<const std::string>(kMessageBytes, 'b');
  const double cpu = threadCpuNanos();
  for (std::size_t n = 1; n <= kBroadcasts; ++n) {
    for (const gyre::TcpConnectionPtr& member : members) member->send(message);
    while (audience->bytes() < n * kMembers * kMessageBytes) {
      loop.runOnce(loop.now() + kTurn);
    }
  }
  const double nanos = threadCpuNanos() - cpu;
  members.clear();
  return nanos / static_cast<double>(kBroadcasts * kMembers);
}

}  // namespace

int main() {
  micro::Report report;
  report.add(micro::kOneProducer, micro::bestOf([] { return functors(1); }));
  report.add(micro::kTwoProducers, micro::bestOf([] { return functors(2); }));
  report.add(micro::bestTimers(timers));
  micro::addWheelCosts(report);
  report.add("1 KiB broadcast to 5000 connections: CPU per connection", micro::bestOf(broadcast));
  report.print("micro");
  return 0;
}
