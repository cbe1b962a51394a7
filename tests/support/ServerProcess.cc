#include "support/ServerProcess.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "gyre/server/TcpServer.h"
#include "support/TestOptions.h"

namespace gyre {
namespace {

void limitDescriptors(std::size_t count) {
  const rlimit limit{count, count};
  if (count != 0) ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::atomic<std::uint64_t> alarms{0};

void interruptEvery(std::chrono::microseconds interval) {
  if (interval.count() == 0) return;
  struct sigaction action {};
  action.sa_handler = [](int) { alarms.fetch_add(1, std::memory_order_relaxed); };
  ::sigaction(SIGALRM, &action, nullptr);  // without SA_RESTART
  const timeval period{interval.count() / 1'000'000, interval.count() % 1'000'000};
  const itimerval timer{period, period};
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

std::string describe(const TcpServer& server) {
  const LoopCounters& counters = server.getLoop()->counters();
  const ServerStats stats = server.stats();
  std::ostringstream text;
  text << counters.iterations.get() << ' ' << counters.enters.get() << ' '
       << counters.directSends.get() << ' ' << counters.accepts.get() << ' '
       << counters.acceptsNoDescriptors.get() << ' ' << counters.connections.get() << ' '
       << counters.disconnections.get() << ' ' << counters.bytesReceived.get() << ' '
       << counters.timeouts.get() << ' ' << stats.refusedByConnections << ' ' << stats.accepted
       << ' ' << alarms.load(std::memory_order_relaxed) << ' '
       << std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return text.str();
}

// Hears one line: its options. Then answers each line with the counters, and ends with the parent.
int serveEcho(LineChannel& parent) {
  ServerProcess::Options options;
  std::int64_t alarmEvery = 0;
  std::int64_t idle = 0;
  std::istringstream(parent.hear().value_or("")) >> options.descriptors >> options.usualSizes >>
      alarmEvery >> idle >> options.backlog >> options.connectionsMax >> options.threads;
  limitDescriptors(options.descriptors);

  EventLoop loop(options.usualSizes ? usualProactorOptions() : testProactorOptions());
  if (idle != 0) loop.setTimeoutTick(std::chrono::milliseconds(10));
  TcpServer server(&loop, InetAddress::loopback(0), "echo");
  server.setThreadNum(options.threads);
  server.setListenOptions({.backlog = options.backlog});
  server.setLimits(
      {.connectionsMax = options.connectionsMax, .atConnectionsMax = OverloadPolicy::Refuse});
  ConnectionOptions connections;
  connections.timeouts.idle = std::chrono::milliseconds(idle);
  server.setConnectionOptions(connections);
  server.setMessageCallback(
      [](const TcpConnectionPtr& connection, Buffer& in) { connection->send(in); });
  server.start();
  parent.say(server.listenAddress().toString());
  std::thread control([&] {
    while (parent.hear()) parent.say(describe(server));
    loop.quit();
  });
  interruptEvery(std::chrono::microseconds(alarmEvery));
  loop.loop();
  control.join();
  return 0;
}

const ChildProgram kEchoServer("echo-server", &serveEcho);

}  // namespace

namespace {

std::vector<std::string> environmentOf(const ServerProcess::Options& options) {
  std::vector<std::string> environment = options.environment;
  environment.emplace_back("GYRE_LOG=error");
  return environment;
}

std::string lineOf(const ServerProcess::Options& options) {
  std::ostringstream line;
  line << options.descriptors << ' ' << options.usualSizes << ' ' << options.alarmEvery.count()
       << ' ' << options.idle.count() << ' ' << options.backlog << ' ' << options.connectionsMax
       << ' ' << options.threads;
  return line.str();
}

}  // namespace

ServerProcess::ServerProcess(const Options& options)
    : child_("echo-server", environmentOf(options)), address_(child_.ask(lineOf(options))) {}

ServerProcess::Counters ServerProcess::counters() {
  Counters counters;
  std::istringstream(child_.ask("counters")) >> counters.iterations >> counters.enters >>
      counters.directSends >> counters.accepts >> counters.acceptsNoDescriptors >>
      counters.connections >> counters.disconnections >> counters.bytesReceived >>
      counters.timeouts >> counters.refused >> counters.accepted >> counters.alarms >>
      counters.wallClock;
  return counters;
}

std::size_t ServerProcess::residentBytes() {
  std::ifstream rollup("/proc/" + std::to_string(process().pid()) + "/smaps_rollup");
  std::string word;
  while (rollup >> word) {
    std::size_t kilobytes = 0;
    if (word == "Rss:" && rollup >> kilobytes) return kilobytes * 1024;
  }
  ADD_FAILURE() << "smaps_rollup does not tell the memory of the server";
  return 0;
}

}  // namespace gyre
