// ServiceRunner: runs servers as a process of the system should.
//
// SIGTERM and SIGINT drain the servers, a second one stops them at once.
//
// SIGUSR2 restarts without an interruption: this process starts the program anew, by the path and
// in the directory it was started itself, passes on its listening sockets, and drains once the new
// process serves. No client is refused meanwhile. When the new process cannot start, or ends before
// it serves, this one logs why and goes on. File, link or directory may have been replaced: the
// program that the path names now is what starts.
//
// Under systemd: socket activation, READY, STOPPING, MAINPID at a restart, WATCHDOG (sd_notify(3),
// sd_listen_fds(3)). Nothing here waits for systemd.
//
// A server on this loop or another needs nothing more than add(). When it starts it takes, of the
// sockets that systemd or the old process passed, for each of its addresses those which the old
// process had for that, else those bound to it. If the address given to its constructor gets none,
// the server takes those named as itself (FileDescriptorName=NAME or NAME.socket); and when it is
// the only server that was added so far, those of systemd that are left. Only then it opens its
// own.
//
// Thread  The base loop's. To be made before any thread is started, which inherits what it blocks,
//         and before any server is started. The constructor takes the variables of both protocols
//         (LISTEN_..., GYRE_...) out of the environment: no child of this process sees them.
// Owns    The signal watcher, and the listening sockets it was given until they are taken.
// Borrows The loop and the servers.
#pragma once

#include <memory>
#include <string_view>
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

  // The listening sockets this process was started with and that no server has taken: for those who
  // give them to TcpServer::addListener themselves, or have other uses for them. A second call
  // returns none. With a name: those with this FileDescriptorName=.
  std::vector<UniqueFd> takeListeners();
  std::vector<UniqueFd> takeListeners(std::string_view name);
  // Before start(), after it, or while run() runs; of several servers all are to be added before
  // the first is started. REQUIRES: the server lives until run() has returned.
  void add(TcpServer* server);
  // Starts the servers that are not started, says that the service is ready, runs the loop, and
  // returns once every server has come to its end. Throws std::system_error.
  // REQUIRES: a server was added.
  void run();

 private:
  class Impl;

  const std::shared_ptr<Impl> impl_;
};

}  // namespace gyre
