#include "support/ServerProcess.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "gyre/net/TcpServer.h"
#include "support/TestOptions.h"

namespace gyre {
namespace {

void limitDescriptors(std::size_t count) {
  const rlimit limit{count, count};
  if (count != 0) ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::string describe(const LoopCounters& counters) {
  std::ostringstream text;
  text << counters.iterations.get() << ' ' << counters.enters.get() << ' ' << counters.accepts.get()
       << ' ' << counters.acceptsNoDescriptors.get() << ' ' << counters.connections.get() << ' '
       << counters.disconnections.get() << ' ' << counters.bytesReceived.get();
  return text.str();
}

// Hears one line: the number of descriptors and whether the sizes are the usual ones. Then answers
// each line with the counters, and ends with the parent.
int serveEcho(LineChannel& parent) {
  std::size_t descriptors = 0;
  bool usualSizes = false;
  std::istringstream(parent.hear().value_or("")) >> descriptors >> usualSizes;
  limitDescriptors(descriptors);

  EventLoop loop(usualSizes ? usualProactorOptions() : testProactorOptions());
  TcpServer server(&loop, InetAddress::loopback(0), "echo");
  server.setThreadNum(0);
  server.setMessageCallback(
      [](const TcpConnectionPtr& connection, Buffer& in) { connection->send(in); });
  server.start();
  parent.say(server.listenAddress().toString());
  std::thread control([&] {
    while (parent.hear()) parent.say(describe(loop.counters()));
    loop.quit();
  });
  loop.loop();
  control.join();
  return 0;
}

const ChildProgram kEchoServer("echo-server", &serveEcho);

}  // namespace

ServerProcess::ServerProcess(const Options& options)
    : child_("echo-server", {"GYRE_LOG=error"}),
      address_(
          child_.ask(std::to_string(options.descriptors) + (options.usualSizes ? " 1" : " 0"))) {}

ServerProcess::Counters ServerProcess::counters() {
  Counters counters;
  std::istringstream(child_.ask("counters")) >> counters.iterations >> counters.enters >>
      counters.accepts >> counters.acceptsNoDescriptors >> counters.connections >>
      counters.disconnections >> counters.bytesReceived;
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
