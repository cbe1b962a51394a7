// AresChannel: c-ares on a loop: its sockets are polled, its timeouts are a timer.
//
// Thread  The loop's. Nothing that c-ares calls back leads to the user: results are handed to
//         `Answer`, which only takes notes.
// Owns    The ares_channel, and its sockets together with the loop.
// Ends    At any time outside `Answer`: what is pending is answered with an error first.
#pragma once

#include <ares.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gyre/loop/EventLoop.h"
#include "gyre/net/ResolveResult.h"

namespace gyre {

class ResolverSocket;

class AresChannel {
 public:
  using Answer = std::function<void(std::uint64_t query, ResolveResult result)>;

  // Throws std::system_error.
  AresChannel(EventLoop* loop, const ResolverOptions& options, Answer answer);
  AresChannel(const AresChannel&) = delete;
  AresChannel& operator=(const AresChannel&) = delete;
  ~AresChannel();

  // `answer` comes exactly once, possibly inside this call. May throw std::bad_alloc: then not.
  void ask(std::uint64_t query, const HostPort& name);

 private:
  struct Question;

  void useServers(const std::vector<InetAddress>& servers);
  void useOwnSockets();
  void process(ares_socket_t readable, ares_socket_t writable);
  void updateTimer();
  void watch(int fd, std::uint32_t events);
  int close(int fd);
  static void handleAnswer(void* question, int status, int timeouts, ares_addrinfo* found);

  EventLoop* const loop_;
  const Answer answer_;
  ares_channel channel_ = nullptr;
  std::vector<std::shared_ptr<ResolverSocket>> sockets_;
  TimerId timer_;
};

}  // namespace gyre
