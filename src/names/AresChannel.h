// AresChannel: c-ares on a loop: its sockets are polled, its timeouts are a timer.
//
// It is asked for one family of one absolute name at a time: what is searched, and what two
// families come to together, is the resolver's. /etc/hosts is a second channel, which never waits.
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
#include "gyre/loop/ReservedTimer.h"
#include "gyre/names/ResolverOptions.h"
#include "names/FamilyAnswers.h"
#include "names/SearchList.h"

namespace gyre {

class ResolverSocket;

class AresChannel {
 public:
  struct Question {
    std::uint64_t query;
    std::uint64_t round;   // of the query's, told back as it is
    AddressFamily family;  // V4 or V6
    std::uint16_t port;
  };
  using Answer = std::function<void(const Question& question, FamilyAnswer answer)>;

  // Throws std::system_error.
  AresChannel(EventLoop* loop, const ResolverOptions& options, Answer answer);
  AresChannel(const AresChannel&) = delete;
  AresChannel& operator=(const AresChannel&) = delete;
  ~AresChannel();

  // `answer` comes exactly once, possibly inside this call. May throw std::bad_alloc: then not.
  void ask(const Question& question, const std::string& name);
  // What /etc/hosts says, at once; empty when it does not know the name.
  std::vector<InetAddress> lookUpHosts(const HostPort& name, AddressFamily family);
  // Of the system.
  const SearchList& searchList() const noexcept { return searchList_; }

 private:
  struct Pending;
  struct Destroy {
    void operator()(ares_channel channel) const noexcept { ::ares_destroy(channel); }
  };
  using Channel = std::unique_ptr<ares_channeldata, Destroy>;

  static Channel makeChannel(ares_options options, int mask, const char* lookups);
  void readSearchList();
  void useServers(const std::vector<InetAddress>& servers);
  void useOwnSockets();
  void process(ares_socket_t readable, ares_socket_t writable);
  void updateTimer();
  void watch(int fd, std::uint32_t events);
  int close(int fd);
  static void handleAnswer(void* pending, int status, int timeouts, ares_addrinfo* found);

  EventLoop* const loop_;
  const Answer answer_;
  SearchList searchList_;
  Channel hosts_;
  std::vector<std::shared_ptr<ResolverSocket>> sockets_;
  ReservedTimer timer_;  // a server that does not answer is given up without memory, too
  Channel channel_;      // ends first: what is pending is answered, and the sockets are closed
};

}  // namespace gyre
