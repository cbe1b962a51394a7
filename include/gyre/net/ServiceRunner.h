// ServiceRunner: runs servers as a process of the system should.
//
// SIGTERM and SIGINT drain the servers, a second one stops them at once. SIGUSR2 starts this
// program anew: the new process takes over the listening sockets, and once it serves, the servers
// here drain; no client is refused meanwhile. Under systemd: socket activation, READY, STOPPING,
// WATCHDOG (sd_notify(3), sd_listen_fds(3)).
//
// Thread  The base loop's. To be made before any thread is started, which inherits what it blocks.
// Owns    The signal watcher, and the listening sockets it was given until they are taken.
// Borrows The loop and the servers.
#pragma once

#include <memory>
#include <vector>

#include "gyre/base/Export.h"
#include "gyre/base/UniqueFd.h"
#include "gyre/loop/EventLoop.h"

namespace gyre {

class TcpServer;

struct ServiceOptions {
  // How long connections may go on after the first signal. Zero: no limit; a second signal stops
  // the servers at once.
  TimeSpan drainTime = std::chrono::seconds(10);
};

class GYRE_API ServiceRunner {
 public:
  // Throws std::system_error.
  explicit ServiceRunner(EventLoop* loop, const ServiceOptions& options = {});
  ServiceRunner(const ServiceRunner&) = delete;
  ServiceRunner& operator=(const ServiceRunner&) = delete;
  ~ServiceRunner();

  // The listening sockets this process was started with, by systemd or by the process that it takes
  // over from; empty when it shall open its own. The second call returns none.
  std::vector<UniqueFd> takeListeners();
  // REQUIRES: the server lives until run() has returned.
  void add(TcpServer* server);
  // Says that it is ready, runs the loop, and returns once every server has come to its end.
  // REQUIRES: all servers are started.
  void run();

 private:
  class Impl;

  const std::shared_ptr<Impl> impl_;
};

}  // namespace gyre
